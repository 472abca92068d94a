"""What all rules read: storekit's relations, routines and roles. It follows the CTE `space` of `as_owner`."""

from __future__ import annotations

SCOPE = r"""
, owner_role AS (
    SELECT oid, rolname FROM pg_roles WHERE rolname IN ('storekit_owner', 'storekit_reports')
), relation AS (
    -- Other applications may have tables in public; there, managed tables and storekit's own count.
    SELECT c.*, n.nspname, c.oid::regclass::text AS name, m.entity, m.mutable, m.reason_required,
           coalesce(m.scope, '') AS scope,
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
), trusted AS (
    -- The administrators of storekit: superusers, the login that runs this check, and the owners of
    -- storekit's databases, as which migrations run. The owner of another database has no rights here, unless
    -- it may connect.
    SELECT r.oid FROM pg_roles AS r
    WHERE r.rolsuper OR r.rolname = session_user
       OR EXISTS (
           SELECT FROM pg_database AS d, aclexplode(d.datacl) AS g
           WHERE g.grantee = 'storekit_owner'::regrole AND pg_has_role(r.oid, d.datdba, 'MEMBER')
             AND (d.datname = current_database() OR NOT has_database_privilege(r.oid, current_database(),
                 'CONNECT')))
), member AS (
    -- The group roles of applications and their members. A role that only administers them is not a member.
    WITH RECURSIVE reach (oid, grp) AS (
        SELECT oid, rolname FROM pg_roles
        WHERE rolname IN ('storekit_app', 'storekit_worker', 'storekit_auditor', 'storekit_reporter')
        UNION
        SELECT m.member, r.grp
        FROM reach AS r JOIN pg_auth_members AS m ON m.roleid = r.oid
        WHERE NOT (m.admin_option AND m.member IN (SELECT oid FROM trusted))
    )
    SELECT r.oid, r.grp, a.rolname, a.rolsuper, a.rolbypassrls, a.rolcreaterole, a.rolreplication,
        a.rolcanlogin
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
