"""Check in the catalog that nothing bypasses the tenants' policies or the write API."""

from __future__ import annotations

import psycopg

from storekit.drivers.postgres.admin import isolation_sql as rule
from storekit.drivers.postgres.admin.as_owner import as_owner, ask


def breaches(connection: psycopg.Connection) -> list[str]:
    """Return one sentence for each breach; an empty list means that none was found.

    Raises:
        ConfigurationError: the database was never migrated, or the login cannot SET ROLE storekit_owner.
    """
    with as_owner(connection):
        return [
            sentence for query in rule.RULES for (sentence,) in sorted(ask(connection, rule.SCOPE, query))
        ]
