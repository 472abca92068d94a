-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.writer_columns(p_table regclass, p_columns text[], p_fields text[])
 RETURNS TABLE(place bigint, name text, type text, preset text, sent text, list text)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    SELECT a.attnum, a.attname::text, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid),
           a.attname::text, '$1'
    FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = p_table AND a.attname = ANY (p_columns)
    UNION ALL
    SELECT 2000 + f.n, f.field || '_ref', 'uuid', NULL, f.field, '$2'  -- a table has at most 1600 columns
    FROM unnest(p_fields) WITH ORDINALITY AS f(field, n);
$function$;

ALTER FUNCTION storekit.writer_columns(regclass,text[],text[]) OWNER TO storekit_owner;
