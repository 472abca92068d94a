"""The catalogue of what belongs to storekit, read as its owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from storekit.errors import ConfigurationError

# The schemas that hold entities or what storekit needs for them.
_SPACE = """
WITH space AS (
    SELECT oid, nspname, nspowner, nspacl FROM pg_namespace
    WHERE nspname IN ('storekit', 'report', 'public')
       OR nspname IN (SELECT schema_name FROM storekit.managed)
)
"""


@contextmanager
def as_owner(connection: psycopg.Connection) -> Iterator[None]:
    """Read in one transaction as storekit_owner, with every name written out in full.

    Raises:
        ConfigurationError: the database was never migrated, or the login may not become the owner.
    """
    with connection.transaction():
        try:
            connection.execute("SET LOCAL ROLE storekit_owner")
            connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
            yield
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidParameterValue) as error:
            raise ConfigurationError("the database has no storekit yet; run storekit migrate") from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                "the login may not become storekit_owner; give POSTGRES_ADMIN_URL that of storekit migrate"
            ) from error


def ask(connection: psycopg.Connection, *query: str) -> list[tuple[Any, ...]]:
    """Run a query whose parts follow on `space`: the schemas of storekit and of its entities."""
    return connection.execute("".join((_SPACE, *query)).encode()).fetchall()
