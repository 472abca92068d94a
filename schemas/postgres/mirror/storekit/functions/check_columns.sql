-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.check_columns(p_table regclass, p_entity text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_missing text;
BEGIN
    WITH has AS (
        SELECT attname::text AS name FROM pg_attribute WHERE attrelid = p_table AND attnum > 0 AND NOT attisdropped
    ), wanted (name, definition) AS (
        SELECT w.* FROM (VALUES
            ('tenant_id', 'uuid NOT NULL DEFAULT storekit.current_tenant()'),
            ('id', 'uuid NOT NULL DEFAULT storekit.new_id()'),
            ('ref_id', 'text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()'),
            ('version', 'bigint NOT NULL DEFAULT 1'),
            ('created_on', 'timestamp with time zone NOT NULL DEFAULT storekit.now()'),
            ('created_by', 'text NOT NULL DEFAULT storekit.current_actor()')) AS w
        UNION ALL
        SELECT w.* FROM (VALUES ('updated_on', 'timestamp with time zone'), ('updated_by', 'text')) AS w
        WHERE EXISTS (SELECT FROM has WHERE name IN ('updated_on', 'updated_by'))
        UNION ALL
        SELECT w.* FROM (VALUES ('deleted_on', 'timestamp with time zone'), ('deleted_by', 'text')) AS w
        WHERE EXISTS (SELECT FROM has WHERE name IN ('deleted_on', 'deleted_by'))
        UNION ALL
        SELECT f.field || '_ref', 'uuid' FROM storekit.field AS f WHERE f.table_name = p_entity AND f.kind <> 'column'
        UNION ALL
        SELECT f.field || '_expired_on', 'timestamp with time zone'
        FROM storekit.field AS f WHERE f.table_name = p_entity AND f.ttl IS NOT NULL
        UNION ALL
        SELECT 'parts_live', 'boolean NOT NULL GENERATED ALWAYS AS (true) STORED'
        WHERE EXISTS (SELECT FROM storekit.field AS f WHERE f.table_name = p_entity AND f.kind <> 'column')
    )
    SELECT string_agg(format('ADD COLUMN %I %s', w.name, w.definition), ', ') INTO v_missing
    FROM wanted AS w
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = p_table AND a.attname = w.name
          AND w.definition = concat(format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attcollation = 'pg_catalog."C"'::regcollation THEN ' COLLATE "C"' END,
              CASE WHEN a.attnotnull THEN ' NOT NULL' END,
              CASE a.attgenerated WHEN 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', pg_get_expr(d.adbin, a.attrelid))
                   ELSE ' DEFAULT ' || pg_get_expr(d.adbin, a.attrelid) END));
    IF v_missing IS NOT NULL THEN
        RAISE EXCEPTION 'table % lacks columns of storekit or defines them differently', p_entity USING ERRCODE = 'SK400',
            HINT = format('ALTER TABLE %s %s', p_table, v_missing);
    END IF;
END
$function$;

ALTER FUNCTION storekit.check_columns(regclass,text) OWNER TO storekit_owner;
