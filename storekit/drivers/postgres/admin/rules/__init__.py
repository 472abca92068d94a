"""The rules of `isolation`: queries that follow SCOPE and return what is wrong, and the remedy."""

from __future__ import annotations

from storekit.drivers.postgres.admin.rules.grants import GRANTS
from storekit.drivers.postgres.admin.rules.roles import ROLES
from storekit.drivers.postgres.admin.rules.routines import ROUTINES
from storekit.drivers.postgres.admin.rules.scope import SCOPE
from storekit.drivers.postgres.admin.rules.tables import TABLES

__all__ = ["RULES", "SCOPE"]

RULES = (*TABLES, *GRANTS, *ROUTINES, *ROLES)
