-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.guard_values(p_table regclass, p_columns text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_actions text;
BEGIN
    -- They are made anew: a column may have another name or type by now.
    SELECT string_agg(format('DROP CONSTRAINT %I', k.conname), ', ') INTO v_actions
    FROM pg_constraint AS k WHERE k.conrelid = p_table AND k.contype = 'c' AND k.conname LIKE '%\_storable';
    SELECT concat_ws(', ', v_actions, string_agg(format('ADD CONSTRAINT %I CHECK (%s)%s',
        left(a.attname, 54) || '_storable', replace(c.condition, '?', quote_ident(a.attname)),
        CASE WHEN pg_relation_size(p_table) > 0 THEN ' NOT VALID' END), ', ' ORDER BY a.attnum))
    INTO v_actions
    FROM pg_attribute AS a
    JOIN (VALUES
        -- the years 1 to 9999 of Python, independent of the time zone of the session
        ('timestamp with time zone', '? >= to_timestamp(-62135596800) AND ? < to_timestamp(253402300800)'),
        ('date', $c$? >= '0001-01-01'::date AND ? <= '9999-12-31'::date$c$),
        -- NaN is greater than Infinity
        ('numeric', $c$? > '-Infinity'::numeric AND ? < 'Infinity'::numeric$c$),
        ('double precision', $c$? > '-Infinity'::float8 AND ? < 'Infinity'::float8$c$),
        ('text[]', 'coalesce(array_ndims(?), 1) = 1 AND array_position(?, NULL) IS NULL'),
        ('bigint[]', 'coalesce(array_ndims(?), 1) = 1 AND array_position(?, NULL) IS NULL'),
        ('double precision[]', $c$coalesce(array_ndims(?), 1) = 1 AND array_position(?, NULL) IS NULL
            AND NOT ? && '{NaN,Infinity,-Infinity}'::float8[]$c$)) AS c(type, condition)
        ON c.type = format_type(a.atttypid, NULL)
    WHERE a.attrelid = p_table AND a.attname = ANY (p_columns);
    IF v_actions <> '' THEN
        EXECUTE format('ALTER TABLE %s %s', p_table, v_actions);
    END IF;
END
$function$;

ALTER FUNCTION storekit.guard_values(regclass,text[]) OWNER TO storekit_owner;
