"""The lint of the catalogue: what would let somebody past the tenant's policies or the write API."""

from __future__ import annotations

import psycopg

from storekit.drivers.postgres.admin import isolation_sql as rule
from storekit.drivers.postgres.admin.as_owner import as_owner, ask


def breaches(connection: psycopg.Connection) -> list[str]:
    """Tell each breach in a sentence; none is as it must be.

    Raises:
        ConfigurationError: the database was never migrated, or the login may not become the owner.
    """
    with as_owner(connection):
        return [
            sentence for query in rule.RULES for (sentence,) in sorted(ask(connection, rule.SCOPE, query))
        ]
