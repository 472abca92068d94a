"""Rules about grants and owners. Each returns what is wrong, and the remedy."""

from __future__ import annotations

_PARTITION_GRANTS = """
SELECT DISTINCT format('partition %s is granted to %s', c.name, g.who),
    format('grant its parent instead: REVOKE %s ON %s FROM %s', g.privilege, c.name, quote_ident(g.who))
FROM given AS g JOIN relation AS c USING (oid)
WHERE c.relispartition
"""

_LEDGER_GRANTS = """
SELECT DISTINCT format('%s may %s %s, which only the write API may change', g.who, g.privilege, c.name),
       format('REVOKE %s ON %s FROM %s', g.privilege, c.name, quote_ident(g.who))
FROM given AS g JOIN base AS c USING (oid)
WHERE c.nspname = 'storekit' AND c.entity IS NULL AND g.privilege IN ('INSERT', 'UPDATE', 'DELETE')
  AND (g.grantee = 0 OR g.grantee IN (SELECT oid FROM member WHERE grp <> 'storekit_worker'))
"""

# PUBLIC is every login of the cluster, so a table's privileges are granted to roles by name.
_PUBLIC_GRANTS = """
SELECT DISTINCT format('PUBLIC may %s %s', g.privilege, c.name),
       format('grant it to a role: REVOKE %s ON %s FROM PUBLIC', g.privilege, c.name)
FROM given AS g JOIN relation AS c USING (oid)
WHERE g.grantee = 0
"""

_TABLE_WIDE_GRANTS = """
SELECT format('%s may %s all columns of %s', g.who, g.privilege, c.name),
       format('grant only the columns of the entity: REVOKE %s ON %s FROM %s', g.privilege, c.name,
           quote_ident(g.who))
FROM given AS g JOIN base AS c USING (oid)
WHERE c.entity IS NOT NULL AND g.attname IS NULL AND g.privilege IN ('INSERT', 'UPDATE')
"""

_COLUMN_GRANTS = """
SELECT format('%s may %s %s of %s, which only the write API may set', g.who, g.privilege, g.attname, c.name),
       format('REVOKE %s (%I) ON %s FROM %s', g.privilege, g.attname, c.name, quote_ident(g.who))
FROM given AS g JOIN base AS c USING (oid)
WHERE c.entity IS NOT NULL AND g.privilege IN ('INSERT', 'UPDATE')
  AND g.attname <> ALL (storekit.plain_columns(c.oid, c.entity)::name[])
"""

_FIXED_ROWS_GRANTS = """
SELECT DISTINCT format('%s may %s %s, whose rows are %s', g.who, g.privilege, c.name,
                       CASE c.scope WHEN 'global' THEN 'written by the admin only' ELSE 'append-only' END),
       format('REVOKE %s ON %s FROM %s', g.privilege, c.name, quote_ident(g.who))
FROM given AS g JOIN base AS c USING (oid)
WHERE g.privilege IN ('UPDATE', 'DELETE') AND NOT c.mutable
   OR g.privilege IN ('INSERT', 'UPDATE', 'DELETE') AND c.scope = 'global'
"""

# TRUNCATE bypasses policies and row triggers, a foreign key reveals which values exist (REFERENCES), and
# TRIGGER and MAINTAIN can run code as another role.
_STRUCTURE_GRANTS = """
SELECT DISTINCT format('%s has %s on %s', g.who, g.privilege, c.name),
       format('REVOKE %s ON %s FROM %s', g.privilege, c.name, quote_ident(g.who))
FROM given AS g JOIN relation AS c USING (oid)
WHERE g.privilege IN ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
"""

_OWNERS = """
, thing (kind, name, nspname, owner) AS (
    SELECT 'schema', quote_ident(nspname), nspname, nspowner FROM space
    UNION ALL
    SELECT CASE WHEN relkind IN ('v', 'm') THEN 'view' ELSE 'table' END, name,
           CASE WHEN entity IS NULL THEN nspname ELSE 'storekit' END, relowner
    FROM relation WHERE relkind IN ('r', 'p', 'f', 'v', 'm')
    UNION ALL
    SELECT 'function', name, nspname, proowner FROM routine
    UNION ALL
    SELECT 'type', t.oid::regtype::text, n.nspname, t.typowner
    FROM pg_type AS t JOIN space AS n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd')
)
SELECT format('%s %s belongs to %s, not to storekit_owner', kind, name, pg_get_userbyid(owner)),
       format('ALTER %s %s OWNER TO storekit_owner', upper(kind), name)
FROM thing
WHERE nspname IN ('storekit', 'report') AND pg_get_userbyid(owner) <> 'storekit_owner'
  AND NOT (nspname = 'report' AND kind <> 'schema' AND pg_get_userbyid(owner) = 'storekit_reports')
"""

# Grants on the tables of entities to other roles than storekit's; `shipped` compares storekit's own tables.
_FOREIGN_GRANTS = """
SELECT DISTINCT format('%s may %s %s and is not a role of storekit', g.who, g.privilege, c.name),
       format('REVOKE %s ON %s FROM %s', g.privilege, c.name, quote_ident(g.who))
FROM given AS g JOIN relation AS c USING (oid)
WHERE c.entity IS NOT NULL AND g.grantee <> 0 AND g.grantee NOT IN (SELECT oid FROM owner_role)
  AND g.who NOT IN ('storekit_app', 'storekit_worker', 'storekit_auditor', 'storekit_reporter')
"""

_CREATORS = """
, creator AS (
    SELECT n.nspname, g.grantee,
           CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS who
    FROM space AS n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS g
    WHERE g.privilege_type = 'CREATE' AND g.grantee NOT IN (SELECT oid FROM owner_role)
      AND (n.nspname NOT IN ('public') OR g.grantee NOT IN (SELECT oid FROM trusted)
           AND pg_get_userbyid(g.grantee) <> 'pg_database_owner')
)
SELECT format('%s may create objects in schema %I', who, nspname),
       format('REVOKE CREATE ON SCHEMA %I FROM %s', nspname, CASE grantee WHEN 0 THEN who
           ELSE quote_ident(who) END)
FROM creator
"""

# Privileges that Postgres grants automatically on each new object.
_DEFAULT_PRIVILEGES = """
SELECT format('default privileges of %I grant %s on new %s to %s', pg_get_userbyid(d.defaclrole),
              g.privilege_type, o.kind, CASE g.grantee WHEN 0 THEN 'PUBLIC'
                  ELSE pg_get_userbyid(g.grantee)::text END),
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s ON %s FROM %s', pg_get_userbyid(d.defaclrole),
              ' IN SCHEMA ' || nullif(d.defaclnamespace, 0)::regnamespace, g.privilege_type, upper(o.kind),
              CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END)
FROM pg_default_acl AS d, aclexplode(d.defaclacl) AS g, LATERAL (
    SELECT CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
           WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END AS kind) AS o
WHERE g.grantee <> d.defaclrole AND NOT (d.defaclobjtype = 'T' AND g.grantee = 0)
  AND (d.defaclrole IN (SELECT oid FROM owner_role) OR d.defaclnamespace IN (SELECT oid FROM space))
UNION
SELECT format('new functions of %I may be executed by PUBLIC', o.rolname),
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC', o.rolname)
FROM owner_role AS o
WHERE NOT EXISTS (
    SELECT FROM pg_default_acl AS d
    WHERE d.defaclrole = o.oid AND d.defaclobjtype = 'f' AND d.defaclnamespace = 0)
"""

GRANTS = (
    _PARTITION_GRANTS, _LEDGER_GRANTS, _PUBLIC_GRANTS, _TABLE_WIDE_GRANTS, _COLUMN_GRANTS, _FIXED_ROWS_GRANTS,
    _STRUCTURE_GRANTS, _OWNERS, _FOREIGN_GRANTS, _CREATORS, _DEFAULT_PRIVILEGES,
)  # fmt: skip
