"""Check in the catalog that nothing bypasses the tenants' policies or the write API."""

from __future__ import annotations

import psycopg

from storekit.drivers.postgres.admin import shipped
from storekit.drivers.postgres.admin.as_owner import as_owner, ask
from storekit.drivers.postgres.admin.rules import RULES, SCOPE
from storekit.drivers.postgres.admin.trust import creators


def breaches(connection: psycopg.Connection) -> list[str]:
    """Return one sentence for each breach: what it is, and the remedy.

    Raises:
        ConfigurationError: the database was never migrated, or the login cannot SET ROLE storekit_owner.
    """
    with as_owner(connection):
        found = [breach for rule in RULES for breach in sorted(ask(connection, SCOPE, rule))]
        # What `migrate` refuses is a breach too, with the same remedy, even where the rules trust more roles.
        refused = {
            f"{role} may create objects in schema {each.schema}": each.remedy
            for each in creators(connection)
            for role in each.roles
        }
    found = [*((fact, remedy) for fact, remedy in found if fact not in refused), *refused.items()]
    named = "\n".join(fact for fact, _ in found)
    # If a rule reports a grant too, its text is used, because it explains the breach.
    rest = [each for each in shipped.differences(connection) if each[0].split(", which no")[0] not in named]
    return [f"{fact}; {remedy}" for fact, remedy in (*found, *rest)]
