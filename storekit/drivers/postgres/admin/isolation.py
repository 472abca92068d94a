"""Check in the catalog that nothing bypasses the tenants' policies or the write API."""

from __future__ import annotations

import psycopg

from storekit.drivers.postgres.admin import shipped
from storekit.drivers.postgres.admin.as_owner import as_owner, ask
from storekit.drivers.postgres.admin.rules import RULES, SCOPE


def breaches(connection: psycopg.Connection) -> list[str]:
    """Return one sentence for each breach: what it is, and the remedy.

    Raises:
        ConfigurationError: the database was never migrated, or the login cannot SET ROLE storekit_owner.
    """
    with as_owner(connection):
        found = [breach for rule in RULES for breach in sorted(ask(connection, SCOPE, rule))]
    named = "\n".join(fact for fact, _ in found)
    # The rules say more about a grant: why it is a breach.
    rest = [each for each in shipped.differences(connection) if each[0].split(", which no")[0] not in named]
    return [f"{fact}; {remedy}" for fact, remedy in (*found, *rest)]
