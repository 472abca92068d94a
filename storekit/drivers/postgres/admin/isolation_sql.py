"""The rules of `isolation`. Each follows SCOPE and returns one sentence for each breach."""

from __future__ import annotations

SCOPE = r"""
, owner_role AS (
    SELECT oid FROM pg_roles WHERE rolname IN ('storekit_owner', 'storekit_reports')
), relation AS (
    -- Other applications may have tables in public; there, managed tables and storekit's own count.
    SELECT c.*, n.nspname, c.oid::regclass::text AS name, m.entity, m.mutable, coalesce(m.scope, '') AS scope,
           c.oid IN (SELECT attrelid FROM pg_attribute WHERE attname = 'tenant_id') AS tenanted
    FROM pg_class AS c JOIN space AS n ON n.oid = c.relnamespace
         LEFT JOIN storekit.managed AS m ON m.schema_name = n.nspname AND m.table_name = c.relname
    WHERE n.nspname <> 'public' OR m.entity IS NOT NULL OR c.relowner IN (SELECT oid FROM owner_role)
), base AS (
    SELECT * FROM relation WHERE relkind IN ('r', 'p')
), routine AS (
    SELECT p.*, n.nspname, p.oid::regprocedure::text AS name
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND NOT EXISTS (SELECT FROM pg_depend AS d
                      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
), member AS (
    -- The group roles of applications and their members; a role with ADMIN OPTION alone is not a member.
    WITH RECURSIVE reach (oid, grp) AS (
        SELECT oid, rolname FROM pg_roles
        WHERE rolname IN ('storekit_app', 'storekit_worker', 'storekit_auditor', 'storekit_reporter')
        UNION
        SELECT m.member, r.grp
        FROM reach AS r JOIN pg_auth_members AS m ON m.roleid = r.oid AND NOT m.admin_option
    )
    SELECT r.oid, r.grp, a.rolname, a.rolsuper, a.rolbypassrls, a.rolcreaterole
    FROM reach AS r JOIN pg_roles AS a ON a.oid = r.oid
), given AS (
    SELECT c.oid, g.grantee, g.privilege_type AS privilege, NULL::name AS attname,
           CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS who
    FROM relation AS c, aclexplode(c.relacl) AS g WHERE g.grantee <> c.relowner
    UNION ALL
    SELECT c.oid, g.grantee, g.privilege_type, a.attname,
           CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END
    FROM relation AS c JOIN pg_attribute AS a ON a.attrelid = c.oid, aclexplode(a.attacl) AS g
    WHERE g.grantee <> c.relowner
)
"""

# Tables without row-level security, other than those that hold no tenant's rows.
_UNFORCED = """
, configuration (name, holds) AS (VALUES
    ('storekit.migration', 'applied migrations'),
    ('storekit.field', 'declared parts'),
    ('storekit.managed', 'managed tables'),
    ('storekit.event_type', 'event types'),
    ('storekit.move', 'allowed state transitions'),
    ('storekit.event_head', 'position of the sequencer'),
    ('storekit.lease', 'which process does the work of all')
)
SELECT format('table %s does not %s row level security', name,
              CASE WHEN relrowsecurity THEN 'force' ELSE 'enable' END)
FROM base
WHERE NOT (relrowsecurity AND relforcerowsecurity)
  AND (tenanted OR name NOT IN (SELECT name FROM configuration))
"""

_WITHOUT_POLICY = """
SELECT format('table %s has no policy for its tenants', name)
FROM base
WHERE tenanted AND NOT relispartition
  AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = base.oid AND p.polpermissive)
"""

# Allowed exceptions: worker, auditor and reports read all tenants by their role; every role reads global
# rows; the owner, as which functions run, writes the events of a backfill and reads the row of a digest.
_WIDE_POLICIES = """
, policy AS (
    SELECT p.polname, c.name, c.scope, p.polcmd, p.polroles, e.seen, e.written
    FROM pg_policy AS p JOIN base AS c ON c.oid = p.polrelid,
         pg_get_expr(p.polqual, p.polrelid, true) AS qual,
         pg_get_expr(p.polwithcheck, p.polrelid, true) AS given,
         LATERAL (SELECT coalesce(qual, given), coalesce(given, qual)) AS e (seen, written)
    WHERE p.polpermissive AND c.tenanted
), narrow (expression) AS (VALUES ('tenant_id = storekit.current_tenant()'))
SELECT format('policy %I of %s is not limited to the tenant: %s', polname, name,
              CASE seen WHEN expression THEN written ELSE seen END)
FROM policy, narrow
WHERE NOT (seen = expression AND written = expression)
  AND NOT polroles <@ ARRAY(
      SELECT oid FROM pg_roles WHERE rolname IN ('storekit_worker', 'storekit_auditor', 'storekit_reports'))
  AND NOT (scope = 'global' AND polcmd = 'r')
  AND NOT (polroles = ARRAY['storekit_owner'::regrole::oid] AND CASE polcmd
      WHEN 'a' THEN name = 'storekit.event_inbox'
      WHEN 'r' THEN seen LIKE '% = NULLIF(current_setting(''storekit.lookup''::text, true), ''''::text)'
      ELSE false END)
"""

_PARTITION_GRANTS = """
SELECT DISTINCT format('partition %s is granted to %s; grant its parent instead', c.name, g.who)
FROM given AS g JOIN relation AS c USING (oid)
WHERE c.relispartition
"""

_LEDGER_GRANTS = """
SELECT DISTINCT format('%s may %s %s, which only the write API may change', g.who, g.privilege, c.name)
FROM given AS g JOIN base AS c USING (oid)
WHERE c.nspname = 'storekit' AND c.entity IS NULL AND g.privilege IN ('INSERT', 'UPDATE', 'DELETE')
  AND (g.grantee = 0 OR g.grantee IN (SELECT oid FROM member WHERE grp <> 'storekit_worker'))
"""

# PUBLIC is every login of the cluster, so a table's privileges are granted to roles by name.
_PUBLIC_GRANTS = """
SELECT DISTINCT format('PUBLIC may %s %s; grant it to a role', g.privilege, c.name)
FROM given AS g JOIN relation AS c USING (oid)
WHERE g.grantee = 0
"""

_TABLE_WIDE_GRANTS = """
SELECT format('%s may %s all columns of %s; grant only the columns of the entity', g.who, g.privilege, c.name)
FROM given AS g JOIN base AS c USING (oid)
WHERE c.entity IS NOT NULL AND g.attname IS NULL AND g.privilege IN ('INSERT', 'UPDATE')
"""

_COLUMN_GRANTS = """
SELECT format('%s may %s %s of %s, which only the write API may set', g.who, g.privilege, g.attname, c.name)
FROM given AS g JOIN base AS c USING (oid)
WHERE c.entity IS NOT NULL AND g.privilege IN ('INSERT', 'UPDATE')
  AND g.attname <> ALL (storekit.plain_columns(c.oid, c.entity)::name[])
"""

_FIXED_ROWS_GRANTS = """
SELECT DISTINCT format('%s may %s %s, whose rows are %s', g.who, g.privilege, c.name,
                       CASE c.scope WHEN 'global' THEN 'written by the admin only' ELSE 'append-only' END)
FROM given AS g JOIN base AS c USING (oid)
WHERE g.privilege IN ('UPDATE', 'DELETE') AND NOT c.mutable
   OR g.privilege IN ('INSERT', 'UPDATE', 'DELETE') AND c.scope = 'global'
"""

# TRUNCATE bypasses policies and row triggers, a foreign key reveals which values exist (REFERENCES), and
# TRIGGER and MAINTAIN can run code as another role.
_STRUCTURE_GRANTS = """
SELECT DISTINCT format('%s has %s on %s', g.who, g.privilege, c.name)
FROM given AS g JOIN relation AS c USING (oid)
WHERE g.privilege IN ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
"""

# A SECURITY DEFINER function of another schema counts if the app can call it.
_DEFINERS = r"""
, definer AS (
    SELECT p.name, r.rolname, r.rolcanlogin, r.rolsuper OR r.rolbypassrls AS unbound, (
               SELECT setting FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%') AS path
    FROM routine AS p JOIN pg_roles AS r ON r.oid = p.proowner
    WHERE p.prosecdef AND (
        p.pronamespace IN (SELECT oid FROM space)
        OR has_function_privilege('storekit_app', p.oid, 'EXECUTE')
           AND has_schema_privilege('storekit_app', p.pronamespace, 'USAGE'))
)
SELECT format('function %s runs as %s, which %s', name, rolname,
              CASE WHEN unbound THEN 'bypasses row-level security' ELSE 'can log in' END)
FROM definer WHERE unbound OR rolcanlogin
UNION
SELECT format('function %s runs as %s with the search_path of its caller', name, rolname)
FROM definer WHERE path IS NULL
UNION
SELECT format('function %s has %s, which must end with pg_temp', name, path)
FROM definer WHERE path !~ '\mpg_temp$'
"""

_PUBLIC_FUNCTIONS = """
SELECT format('function %s may be executed by PUBLIC', p.name)
FROM routine AS p JOIN space AS n ON n.oid = p.pronamespace,
     aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g
WHERE g.grantee = 0 AND (n.nspname <> 'public' OR p.proowner IN (SELECT oid FROM owner_role))
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
SELECT format('%s %s belongs to %s, not to storekit_owner', kind, name, pg_get_userbyid(owner))
FROM thing
WHERE nspname IN ('storekit', 'report') AND pg_get_userbyid(owner) <> 'storekit_owner'
  AND NOT (nspname = 'report' AND kind <> 'schema' AND pg_get_userbyid(owner) = 'storekit_reports')
"""

# A key across tenants reveals values of other tenants: a duplicate is refused. A global table has one tenant,
# and positions of events are unique in the database.
_KEYS = """
, positions (name, attname) AS (VALUES ('storekit.event_inbox', 'id'), ('storekit.domain_event', 'pos'))
SELECT format('key %s of %s does not begin with tenant_id', i.indexrelid::regclass, c.name)
FROM pg_index AS i JOIN base AS c ON c.oid = i.indrelid
     LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
     LEFT JOIN pg_inherits AS h ON h.inhrelid = c.oid
WHERE c.tenanted AND c.scope <> 'global' AND (i.indisunique OR i.indisexclusion)
  AND a.attname IS DISTINCT FROM 'tenant_id'
  AND NOT EXISTS (SELECT FROM positions AS p
                  WHERE p.name = coalesce(h.inhparent::regclass::text, c.name) AND p.attname = a.attname)
UNION
SELECT format('foreign key %I of %s does not begin with tenant_id', k.conname, c.name)
FROM pg_constraint AS k JOIN base AS c ON c.oid = k.conrelid JOIN base AS t ON t.oid = k.confrelid
     JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
     JOIN pg_attribute AS b ON b.attrelid = t.oid AND b.attnum = k.confkey[1]
WHERE k.contype = 'f' AND c.tenanted AND t.tenanted AND t.scope <> 'global'
  AND (a.attname <> 'tenant_id' OR b.attname <> 'tenant_id')
"""

# Views of any schema that read one of the tables.
_VIEWS = """
, view AS (
    SELECT v.oid::regclass::text AS name, v.relkind, v.relowner, v.relacl,
           array_to_string(v.reloptions, ',') ~ 'security_invoker=(true|on|yes|1)' AS invoker,
           v.relnamespace = 'report'::regnamespace AND v.relowner = 'storekit_reports'::regrole AS report
    FROM pg_class AS v
    WHERE v.relkind IN ('v', 'm') AND EXISTS (
        SELECT FROM pg_rewrite AS r
        JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                           AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
        JOIN relation AS c ON c.oid = d.refobjid
        WHERE r.ev_class = v.oid)
), reader AS (
    SELECT v.*, g.grantee,
           CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS who
    FROM view AS v, aclexplode(v.relacl) AS g
    WHERE g.grantee <> v.relowner
)
SELECT format('view %s reads as its owner; make it WITH (security_invoker = true)', name)
FROM view WHERE relkind = 'v' AND NOT report AND invoker IS NOT TRUE
UNION
SELECT format('materialized view %s, to which no policy applies, is granted to %s', name, who)
FROM reader
WHERE relkind = 'm' AND (grantee = 0 OR grantee IN (SELECT oid FROM member WHERE grp = 'storekit_app'))
UNION
SELECT format('report %s is granted to %s; only report.read_v1 may read it', name, who)
FROM reader WHERE report
"""

_CREATORS = """
SELECT format('%s may create objects in schema %I',
              CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END, n.nspname)
FROM space AS n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS g
WHERE g.privilege_type = 'CREATE' AND (g.grantee = 0 OR g.grantee IN (SELECT oid FROM member))
"""

_ROLES = """
SELECT format('role %s of %s has %s', rolname, grp, word)
FROM member, LATERAL (
    VALUES ('SUPERUSER', rolsuper), ('BYPASSRLS', rolbypassrls), ('CREATEROLE', rolcreaterole)
) AS attribute (word, held)
WHERE held
UNION
SELECT format('role %s of %s can SET ROLE %s', rolname, grp, owner_role.oid::regrole)
FROM member, owner_role
WHERE NOT rolsuper AND pg_has_role(member.oid, owner_role.oid, 'MEMBER')
"""

_TRIGGERS = """
SELECT format('trigger %I of %s is disabled', t.tgname, c.name)
FROM pg_trigger AS t JOIN base AS c ON c.oid = t.tgrelid
WHERE t.tgenabled NOT IN ('O', 'A')
"""

# The tenant is set for a transaction. Set for a session, it would apply to the next borrower of a connection.
_SETTINGS = r"""
SELECT DISTINCT format('%s of %s is set for whole sessions', split_part(setting, '=', 1),
    CASE s.setrole WHEN 0 THEN 'the database' ELSE pg_get_userbyid(s.setrole)::text END)
FROM pg_db_role_setting AS s, unnest(s.setconfig) AS setting
WHERE setting ~ '^(storekit\.|session_replication_role)'
  AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND (s.setrole = 0 OR s.setrole IN (SELECT oid FROM member))
"""

RULES = (
    _UNFORCED,
    _WITHOUT_POLICY,
    _WIDE_POLICIES,
    _PARTITION_GRANTS,
    _LEDGER_GRANTS,
    _PUBLIC_GRANTS,
    _TABLE_WIDE_GRANTS,
    _COLUMN_GRANTS,
    _FIXED_ROWS_GRANTS,
    _STRUCTURE_GRANTS,
    _DEFINERS,
    _PUBLIC_FUNCTIONS,
    _OWNERS,
    _KEYS,
    _VIEWS,
    _CREATORS,
    _ROLES,
    _TRIGGERS,
    _SETTINGS,
)
