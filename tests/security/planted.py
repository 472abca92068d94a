"""Objects that a login without any right plants in schema public, where it may create: copies of everything
that Postgres has in pg_catalog. A planted function raises an error when it is called, and a planted type when
it is used."""

from __future__ import annotations

from tests.support.postgres import Database

USED = "a planted object was used"

# Functions and aggregates with the arguments of the original. A copy wins over it if public comes first.
_COPIES = """
SELECT format('%I(%s)', p.proname, array_to_string(ARRAY(
           SELECT format_type(t, NULL) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(t, n)
           ORDER BY n), ', ')),
       concat(CASE WHEN p.proretset THEN 'SETOF ' END,
              CASE p.prorettype WHEN 'void'::regtype THEN 'text' ELSE format_type(p.prorettype, NULL) END)
FROM pg_proc AS p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind <> 'p'"""
# VARIADIC "any" cannot be copied in plpgsql. These overloads win over it wherever public is in the search
# path.
_OVERLOADS = """
SELECT DISTINCT format('%I(%s)', p.proname, array_to_string(array_fill(type, ARRAY[n]), ', ')), 'text'
FROM pg_proc AS p, generate_series(1, 12) AS n, unnest('{text,anyelement,anycompatible}'::text[]) AS type
WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.provariadic = '"any"'::regtype
UNION ALL
SELECT signature, 'json' FROM unnest(ARRAY[
    'json_build_array(uuid, text, text, bigint, text, text, text, timestamptz, boolean, anyenum, uuid)',
    'jsonb_build_object(text, uuid)', 'jsonb_build_object(text, text, text, uuid, text, jsonb)',
    'jsonb_build_array(text, jsonb, jsonb)', 'jsonb_build_array(text, text, text)']) AS signature
UNION ALL
SELECT signature, 'text' FROM unnest(ARRAY[
    'format(text, name)', 'format(text, regclass)', 'format(text, text, name)', 'format(text, name, text)',
    'format(text, name, name)', 'format(text, regclass, text)', 'format(text, text[])',
    'format(text, text, text[])', 'hashtextextended(text, int)', 'concat(name, text)', 'concat(text, name)',
    'concat(text, text, text, name)',
    'concat_ws(text, uuid, text, text, text, uuid)', 'pg_has_role(name, text, text)', 'quote_ident(text)',
    'to_regrole(name)', 'current_setting(text, int)', 'to_char(timestamptz, name)']) AS signature"""
_OPERATORS = """
SELECT format('CREATE OPERATOR public.%s (FUNCTION = public.%I%s, RIGHTARG = %s)', o.oprname, p.proname,
              CASE WHEN o.oprleft <> 0 THEN ', LEFTARG = ' || format_type(o.oprleft, NULL) END,
              format_type(o.oprright, NULL))
FROM pg_operator AS o JOIN pg_proc AS p ON p.oid = o.oprcode
WHERE o.oprnamespace = 'pg_catalog'::regnamespace"""
_TYPES = """
SELECT format('CREATE DOMAIN public.%I AS %s CHECK (public.planted(VALUE IS NULL))', t.typname,
              format_type(t.oid, NULL))
FROM pg_type AS t
WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'e') AND t.typname !~ '^_'"""
_VIEWS = """
SELECT format('CREATE VIEW public.%1$I AS SELECT 1 AS planted WHERE public.planted(true);
               GRANT SELECT ON public.%1$I TO PUBLIC', c.relname)
FROM pg_class AS c WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v')"""
_PLANT = """
SET search_path = pg_catalog, pg_temp;
SET check_function_bodies = off;
SET client_min_messages = error;
SET ROLE mallory;
DO $do$
DECLARE
    v_text text;
BEGIN
    FOR v_text IN {statements} LOOP
        BEGIN
            EXECUTE v_text;
        EXCEPTION WHEN OTHERS THEN
            NULL;  -- a pseudo-type that plpgsql does not take
        END;
    END LOOP;
END
$do$;
RESET ROLE;
"""
_FUNCTION = "CREATE FUNCTION public.%1$s RETURNS %2$s LANGUAGE plpgsql AS %3$L"
_RAISES = f"replace('BEGIN RAISE EXCEPTION ''{USED}: $''; END', '$', p.signature)"


def plant(database: Database) -> int:
    """Let a stranger plant, and put public first in every search path; return the number of planted
    objects."""
    functions = f"""
        SELECT format('{_FUNCTION}', p.signature, p.result, {_RAISES})
        FROM (SELECT 'planted(boolean)', 'boolean' UNION ALL {_COPIES} UNION ALL {_OVERLOADS})
             AS p (signature, result)"""
    with database.connect("postgres") as root:
        root.execute(
            "DO $$ BEGIN IF to_regrole('mallory') IS NULL THEN CREATE ROLE mallory LOGIN; END IF; END $$;"
            "GRANT CREATE ON SCHEMA public TO PUBLIC"
        )
        for statements in (functions, _OPERATORS, _TYPES, _VIEWS):
            root.execute(_PLANT.format(statements=statements).encode())
        count = """SELECT count(*) FROM pg_catalog.pg_shdepend WHERE deptype = 'o'
            AND refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'mallory')
            AND dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"""
        ((found,),) = root.execute(count.encode()).fetchall()
        root.execute(f"ALTER DATABASE {database.name} SET search_path = public, pg_catalog".encode())
    return int(found)
