-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.first_refused(p_name text, p_op text, p_rows jsonb, p_done text[] DEFAULT '{}'::text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_table   storekit.managed := storekit.find_managed(p_name);
    v_refused jsonb;
BEGIN
    EXECUTE format(
        'SELECT jsonb_build_object(''entity'', $3, ''ref_id'', r.ref_id, ''expected'', r.expected_version, ''found'', t.version)
         FROM jsonb_to_recordset($1) AS r(ref_id text, expected_version bigint)
         LEFT JOIN %I.%I AS t
           ON t.tenant_id = storekit.current_tenant() AND t.ref_id = r.ref_id AND t.ref_id = ANY ($4) AND %s
         WHERE r.ref_id <> ALL ($2) AND (t.ref_id IS NULL OR t.version <> r.expected_version)
         ORDER BY r.ref_id COLLATE "C" LIMIT 1',
        v_table.schema_name, v_table.table_name,
        CASE WHEN NOT v_table.soft_delete THEN 'true'
             WHEN p_op = 'restore' THEN 't.deleted_on IS NOT NULL'
             ELSE 't.deleted_on IS NULL' END)
    INTO v_refused
    USING p_rows, p_done, v_table.entity, ARRAY(SELECT r ->> 'ref_id' FROM jsonb_array_elements(p_rows) AS r);
    RETURN v_refused;
END
$function$;

ALTER FUNCTION storekit.first_refused(text,text,jsonb,text[]) OWNER TO storekit_owner;
