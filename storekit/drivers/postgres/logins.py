"""The logins of a store: what each is for, and whose rights it may never have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from storekit.errors import ConfigurationError
from storekit.settings import Login, Settings


@dataclass(frozen=True, slots=True)
class LoginRules:
    """One way into Postgres."""

    setting: str
    variable: str
    purpose: str
    role: str | None = None
    """What it acts as; None means itself."""
    walled: bool = True
    """Whether row-level security must hold it, so that it may be nothing above it."""

    def url(self, settings: Settings) -> str:
        """Find its URL.

        Raises:
            ConfigurationError: it is not set.
        """
        found: SecretStr | None = getattr(settings, self.setting)
        if found is None:
            raise ConfigurationError(f"{self.variable} is not set: {self.purpose}")
        return found.get_secret_value()


LOGINS: Mapping[Login, LoginRules] = {
    Login.APP: LoginRules("postgres_url", "POSTGRES_URL", "a login in role storekit_app"),
    Login.ADMIN: LoginRules(
        "postgres_admin_url",
        "POSTGRES_ADMIN_URL",
        "a login that may become storekit_owner",
        "storekit_owner",
        walled=False,
    ),
    Login.REPORTER: LoginRules(
        "postgres_reporter_url", "POSTGRES_REPORTER_URL", "a login in role storekit_reporter"
    ),
}

ABOVE_THE_WALL = """
    SELECT string_agg(DISTINCT CASE WHEN r.rolsuper THEN 'a superuser' WHEN r.rolbypassrls
                               THEN 'a role with BYPASSRLS' ELSE r.rolname END, ' and ')
    FROM pg_catalog.pg_roles AS r
    WHERE pg_has_role(session_user, r.oid, 'MEMBER')
      AND (r.rolsuper OR r.rolbypassrls OR r.rolname IN ('storekit_owner', 'storekit_reports'))
"""
"""Names what a login is, or may become, that row-level security does not hold."""
