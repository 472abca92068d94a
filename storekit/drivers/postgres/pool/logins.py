"""The logins of a store: what each is used for, and whether row-level security must apply to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from storekit.errors import ConfigurationError
from storekit.settings import Login, Settings


@dataclass(frozen=True, slots=True)
class LoginRules:
    """One login of PostgreSQL, and the setting that holds its URL."""

    setting: str
    variable: str
    purpose: str
    role: str | None = None
    """The role that it sets in each transaction; None if it sets no role."""
    isolated: bool = True
    """Whether row-level security must apply, so that the login must not be a member of an exempt role."""

    def url(self, settings: Settings) -> str:
        """Return the URL of the login.

        Raises:
            ConfigurationError: the setting has no value.
        """
        found: SecretStr | None = getattr(settings, self.setting)
        if found is None:
            raise ConfigurationError(f"{self.variable} is not set; it must be the URL of {self.purpose}")
        return found.get_secret_value()


LOGINS: Mapping[Login, LoginRules] = {
    Login.APP: LoginRules("postgres_url", "POSTGRES_URL", "a login that is a member of storekit_app"),
    Login.ADMIN: LoginRules(
        "postgres_admin_url",
        "POSTGRES_ADMIN_URL",
        "a login that can SET ROLE storekit_owner",
        "storekit_owner",
        isolated=False,
    ),
    Login.REPORTER: LoginRules(
        "postgres_reporter_url", "POSTGRES_REPORTER_URL", "a login that is a member of storekit_reporter"
    ),
}

EXEMPT_ROLES = """
    SELECT string_agg(DISTINCT CASE WHEN r.rolsuper THEN 'a superuser' WHEN r.rolbypassrls
                               THEN 'a role with BYPASSRLS' ELSE r.rolname END, ' and '),
           current_setting('session_replication_role'), extract(epoch FROM clock_timestamp())
    FROM pg_catalog.pg_roles AS r
    WHERE pg_has_role(session_user, r.oid, 'MEMBER')
      AND (r.rolsuper OR r.rolbypassrls OR r.rolname IN ('storekit_owner', 'storekit_reports'))
"""
"""Names the roles of this login to which row-level security does not apply, NULL if there are none.

The second column is the setting that switches triggers off, the third is the time.

'MEMBER' includes roles that the login can only reach by SET ROLE, as SQL on its connection could.
"""
