"""Read the system catalog as storekit_owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from storekit.drivers.postgres.admin.connect import PATH
from storekit.errors import ConfigurationError

# The schemas that hold entities, and those of storekit itself.
_SPACE = """
WITH space AS (
    SELECT oid, nspname, nspowner, nspacl FROM pg_namespace
    WHERE nspname IN ('storekit', 'report', 'public')
       OR nspname IN (SELECT schema_name FROM storekit.managed)
)
"""


@contextmanager
def as_owner(connection: psycopg.Connection) -> Iterator[None]:
    """Read in one transaction as storekit_owner.

    The search path is pg_catalog alone, so that the server prints every other name with its schema.

    Raises:
        ConfigurationError: the database was never migrated, or the login cannot SET ROLE storekit_owner.
    """
    with connection.transaction():
        try:
            connection.execute("SET LOCAL ROLE storekit_owner")
            connection.execute(PATH)
            yield
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidParameterValue) as error:
            raise ConfigurationError("the database has not been migrated; run storekit migrate") from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                "the login cannot SET ROLE storekit_owner; set POSTGRES_ADMIN_URL to the login that runs "
                "storekit migrate"
            ) from error


def ask(connection: psycopg.Connection, *query: str) -> list[tuple[Any, ...]]:
    """Run a query, which can use the CTE `space`: the schemas of storekit and of its entities."""
    return connection.execute("".join((_SPACE, *query)).encode()).fetchall()
