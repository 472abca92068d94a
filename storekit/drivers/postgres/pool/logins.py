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
    group: str | None = None
    """The group role of which it must be a member, and of no other; None if tenants need no protection from
    it."""

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
    Login.APP: LoginRules(
        "postgres_url",
        "POSTGRES_URL",
        "a login that is a member of storekit_app",
        group="storekit_app",
    ),
    Login.ADMIN: LoginRules(
        "postgres_admin_url",
        "POSTGRES_ADMIN_URL",
        "a login that can SET ROLE storekit_owner",
        "storekit_owner",
    ),
    Login.REPORTER: LoginRules(
        "postgres_reporter_url",
        "POSTGRES_REPORTER_URL",
        "a login that is a member of storekit_reporter",
        group="storekit_reporter",
    ),
    Login.WORKER: LoginRules(
        "postgres_worker_url",
        "POSTGRES_WORKER_URL",
        "a login that is a member of storekit_worker",
        group="storekit_worker",
    ),
}

REMEDY = "use a login that is a member of one role alone:"
"""Followed by the name of the role."""


def exempt(role: str) -> str:
    """Return a query for the reason why the database does not protect tenants from this login, NULL if none.

    'MEMBER' includes roles that the login can only reach by SET ROLE, as SQL on its connection could. Each
    group of storekit has its own login: the policies of worker and auditor show the rows of all tenants, and
    the reporter reads across tenants.

    Args:
        role: the group role of this login.
    """
    others = ", ".join(f"'{each}'" for each in (*_ABOVE, *_GROUPS) if each != role)
    return _EXEMPT.replace("{others}", others)


_EXEMPT = """
    SELECT CASE WHEN bool_or(why = 'can act as a superuser') THEN 'can act as a superuser'
                ELSE string_agg(DISTINCT why, ' and ') END
    FROM (
        SELECT 'can act as ' || CASE WHEN r.rolsuper THEN 'a superuser'
                WHEN r.rolbypassrls THEN 'a role with BYPASSRLS'
                WHEN r.rolreplication THEN 'a role with REPLICATION, which can copy the whole cluster'
                WHEN r.rolname IN ({others}) THEN r.rolname::text
                ELSE 'a role with CREATEROLE, which can grant itself other roles' END AS why
        FROM pg_catalog.pg_roles AS r
        WHERE pg_has_role(session_user, r.oid, 'MEMBER')
          AND (r.rolsuper OR r.rolbypassrls OR r.rolreplication OR r.rolcreaterole OR r.rolname IN ({others}))
        UNION ALL
        SELECT format('owns the table %I.%I', n.nspname, c.relname)
        FROM pg_catalog.pg_policy AS p JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
             JOIN pg_catalog.pg_roles AS r ON r.oid = c.relowner AND r.rolname <> 'storekit_owner'
        WHERE p.polname = 'tenant' AND pg_has_role(session_user, r.oid, 'MEMBER')
    ) AS reason"""

_GROUPS = ("storekit_app", "storekit_worker", "storekit_auditor", "storekit_reporter")
_ABOVE = (
    "storekit_owner", "storekit_reports", "pg_database_owner", "pg_read_all_data", "pg_write_all_data",
    "pg_read_server_files", "pg_write_server_files", "pg_execute_server_program",
)  # fmt: skip
"""Roles that own tables, have more privileges than storekit grants, or reach files of the server."""

EXEMPT_FROM_APP = exempt("storekit_app")
TRIGGERS = "SELECT pg_catalog.current_setting('session_replication_role')"
"""Asks for the setting that switches triggers off: it is then 'replica'."""
NOW = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())"
NO_TRIGGERS = "no triggers run in its sessions, because session_replication_role is replica; reset it"
