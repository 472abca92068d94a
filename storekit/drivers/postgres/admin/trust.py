"""Refuse to migrate if SQL of storekit or of a migration could run code of another role.

A role that may create objects in a schema can create tables, types and functions there whose names a
migration or the SDK uses later. storekit trusts superusers, the owner of the database, the admin's login and
its own roles: they can change everything anyway.
"""

from __future__ import annotations

from typing import NamedTuple

import psycopg

from storekit.drivers.postgres.admin.connect import PATH
from storekit.errors import ConfigurationError

_TRUSTED = """
WITH trusted AS (
    SELECT r.oid FROM pg_roles AS r
    WHERE r.rolsuper OR r.rolname IN ('storekit_owner', 'storekit_reports', 'pg_database_owner', session_user)
       OR r.oid = (SELECT d.datdba FROM pg_database AS d WHERE d.datname = current_database())
)"""
_HAS_ENTITIES = "SELECT to_regclass('storekit.managed') IS NOT NULL"
_ENTITIES = "SELECT DISTINCT schema_name FROM storekit.managed"
# The owner of a schema may always create in it. Hosting providers give `public` to a role of which the admin
# is a member; the other members are administrators too.
_CREATORS = """
, creator AS (
    SELECT n.nspname, n.nspowner, g.grantee
    FROM pg_namespace AS n, aclexplode(n.nspacl) AS g
    WHERE g.privilege_type = 'CREATE' AND g.grantee <> n.nspowner
    UNION
    SELECT n.nspname, n.nspowner, n.nspowner FROM pg_namespace AS n
    WHERE NOT pg_has_role(session_user, n.nspowner, 'MEMBER')
)
SELECT quote_ident(nspname), quote_ident(pg_get_userbyid(nspowner)), bool_or(grantee = nspowner),
       array_agg(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
                 ORDER BY grantee)
FROM creator
WHERE nspname = ANY (%s) AND grantee NOT IN (SELECT oid FROM trusted)
GROUP BY nspname, nspowner ORDER BY nspname"""
# Postgres prefers the overload that fits the arguments best, wherever it is in the search path. So a function
# of `public` can be called in place of one of pg_catalog, or of one that the user's own migrations created.
_OVERLOADS = """
, thing AS (
    SELECT CASE p.prokind WHEN 'a' THEN 'AGGREGATE' WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind,
           p.oid::regprocedure::text AS name, p.proname AS word, p.pronamespace AS space, p.proowner AS owner,
           'pg_proc'::regclass AS catalog, p.oid
    FROM pg_proc AS p
    UNION ALL
    SELECT 'OPERATOR', o.oid::regoperator::text, o.oprname, o.oprnamespace, o.oprowner, 'pg_operator', o.oid
    FROM pg_operator AS o
), foreigner AS (
    SELECT * FROM thing AS t
    WHERE t.space = 'public'::regnamespace AND t.owner NOT IN (SELECT oid FROM trusted)
      AND NOT EXISTS (SELECT FROM pg_depend AS d  -- a member of an extension
                      WHERE d.classid = t.catalog AND d.objid = t.oid AND d.deptype = 'e')
)
SELECT f.kind, f.name, pg_get_userbyid(f.owner)
FROM foreigner AS f
WHERE EXISTS (
    SELECT FROM thing AS t
    WHERE t.word = f.word AND t.catalog = f.catalog
      AND (t.space = 'pg_catalog'::regnamespace
           OR t.space = 'public'::regnamespace AND t.owner IN (SELECT oid FROM trusted)))
ORDER BY f.kind, f.name LIMIT 1"""


class Creators(NamedTuple):
    """Roles that may create objects in a schema, but are not trusted. Names are quoted as in SQL."""

    schema: str
    owner: str
    owns: bool
    """Whether the owner is one of these roles."""
    roles: list[str]

    @property
    def remedy(self) -> str:
        """The statement that revokes this right, and the role that can run it."""
        if self.owns:
            return f"ALTER SCHEMA {self.schema} OWNER TO storekit_owner, as a superuser"
        who = ", ".join(self.roles)
        return f"REVOKE CREATE ON SCHEMA {self.schema} FROM {who}, as {self.owner}, who owns the schema"


def creators(connection: psycopg.Connection) -> list[Creators]:
    """Return the other roles that may create objects in the schemas of storekit and of its entities.

    Called in a transaction as storekit_owner, whose search path is `PATH`.
    """
    schemas = ["storekit", "report", "public"]
    if connection.execute(_HAS_ENTITIES).fetchone() == (True,):
        schemas += [schema for (schema,) in connection.execute(_ENTITIES)]
    found = connection.execute((_TRUSTED + _CREATORS).encode(), [schemas]).fetchall()
    return [Creators(*row) for row in found]


def refuse_creators(connection: psycopg.Connection) -> None:
    """Check that no other role may create objects in the schemas of storekit and of its entities.

    Raises:
        ConfigurationError: another role may; the message says how to revoke this right.
    """
    with connection.transaction():
        connection.execute("SET LOCAL ROLE storekit_owner")
        connection.execute(PATH)
        found = creators(connection)
    if found:
        first = found[0]
        raise ConfigurationError(
            f"{', '.join(first.roles)} may create objects in schema {first.schema}, and SQL of storekit "
            f"or of a migration could use them by mistake; run {first.remedy}, and then storekit migrate"
        )


def refuse_overloads(connection: psycopg.Connection) -> None:
    """Check that schema public has no function or operator of another role that a migration could call.

    Raises:
        ConfigurationError: there is one; the message names it.
    """
    with connection.transaction():
        connection.execute(PATH)
        found = connection.execute((_TRUSTED + _OVERLOADS).encode()).fetchone()
    if found is not None:
        kind, name, owner = found
        raise ConfigurationError(
            f"{kind.lower()} {name} of role {owner} has the name of one that your migrations may call, and "
            f"Postgres could choose it instead; run DROP {kind} {name}, or rename it, and then storekit "
            "migrate"
        )
