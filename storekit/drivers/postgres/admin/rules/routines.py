"""Rules about functions. Each returns what is wrong, and the remedy."""

from __future__ import annotations

# A SECURITY DEFINER function of another schema counts if the app can call it.
_DEFINERS = r"""
, definer AS (
    SELECT p.name, r.rolname, r.rolcanlogin, r.rolsuper OR r.rolbypassrls AS unbound,
           p.pronamespace IN (SELECT oid FROM space) AND p.proowner NOT IN (SELECT oid FROM owner_role)
               AS outside, (
               SELECT setting FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%') AS path
    FROM routine AS p JOIN pg_roles AS r ON r.oid = p.proowner
    WHERE p.prosecdef AND (
        p.pronamespace IN (SELECT oid FROM space)
        OR has_function_privilege('storekit_app', p.oid, 'EXECUTE')
           AND has_schema_privilege('storekit_app', p.pronamespace, 'USAGE'))
)
SELECT format('function %s runs as %s, which %s', name, rolname,
              CASE WHEN unbound THEN 'bypasses row-level security' WHEN rolcanlogin THEN 'can log in'
                   ELSE 'is not a role of storekit' END),
       format('DROP FUNCTION %s, or ALTER FUNCTION %1$s OWNER TO storekit_owner', name)
FROM definer WHERE unbound OR rolcanlogin OR outside
UNION
SELECT format('function %s runs as %s with the search_path of its caller', name, rolname),
       format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', name)
FROM definer WHERE path IS NULL
UNION
SELECT format('function %s has %s, which must end with pg_temp', name, path),
       format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', name)
FROM definer WHERE path !~ '\mpg_temp$'
"""

_PUBLIC_FUNCTIONS = """
SELECT format('function %s may be executed by PUBLIC', p.name),
       format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', p.name)
FROM routine AS p JOIN space AS n ON n.oid = p.pronamespace,
     aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g
WHERE g.grantee = 0 AND (n.nspname <> 'public' OR p.proowner IN (SELECT oid FROM owner_role))
"""

# The writers of tables change any column; only the commit, which checks its caller, may call them.
_WRITERS = r"""
SELECT format('%s may execute %s, which only the commit may call', w.who, p.name),
       format('REVOKE EXECUTE ON FUNCTION %s FROM %s', p.name, CASE g.grantee WHEN 0 THEN w.who
           ELSE quote_ident(w.who) END)
FROM routine AS p, aclexplode(p.proacl) AS g, LATERAL (
    SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS who) AS w
WHERE p.nspname = 'storekit' AND p.proname LIKE 'write\_%' AND g.grantee <> p.proowner
"""

# A statement that does not write the schema of a function may call this one in place of the one of Postgres.
_OVERLOADS = """
SELECT format('function %s has the name of a function of Postgres, which it can replace', p.name),
       format('DROP FUNCTION %s, or rename it', p.name)
FROM routine AS p JOIN space AS n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('storekit', 'report') AND p.proname IN (
    SELECT q.proname FROM pg_proc AS q WHERE q.pronamespace = 'pg_catalog'::regnamespace)
UNION
SELECT format('operator %s has the name of an operator of Postgres, which it can replace',
    o.oid::regoperator),
       format('DROP OPERATOR %s', o.oid::regoperator)
FROM pg_operator AS o JOIN space AS n ON n.oid = o.oprnamespace
WHERE o.oprname IN (SELECT q.oprname FROM pg_operator AS q WHERE q.oprnamespace = 'pg_catalog'::regnamespace)
  AND NOT EXISTS (SELECT FROM pg_depend AS d
                  WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e')
"""

ROUTINES = (_DEFINERS, _PUBLIC_FUNCTIONS, _WRITERS, _OVERLOADS)
