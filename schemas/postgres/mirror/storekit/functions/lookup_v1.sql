-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.lookup_v1(p_entity text, p_value text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET standard_conforming_strings TO 'on'
 SET row_security TO 'on'
 SET enable_seqscan TO 'off'
 SET enable_sort TO 'on'
 SET plan_cache_mode TO 'auto'
 SET jit TO 'off'
 SET lock_timeout TO '5s'
AS $function$
DECLARE
    v_table storekit.managed := storekit.find_managed(p_entity);
    v_field text := (SELECT f.field FROM storekit.field AS f WHERE f.table_name = v_table.entity AND f.kind = 'column');
    v_found jsonb;
BEGIN
    IF v_field IS NULL OR coalesce(p_value, '') = '' THEN
        RAISE EXCEPTION 'table % has no look-up column, or the value is empty', v_table.entity USING ERRCODE = 'SK400';
    END IF;
    PERFORM set_config('storekit.lookup', p_value, true);
    EXECUTE format('SELECT jsonb_agg(jsonb_build_object(''tenant_id'', t.tenant_id, ''ref_id'', t.ref_id))
        FROM (SELECT tenant_id, ref_id FROM %I.%I WHERE %I = $1%s LIMIT 2) AS t',
        v_table.schema_name, v_table.table_name, v_field,
        CASE WHEN v_table.soft_delete THEN ' AND deleted_on IS NULL' ELSE '' END) INTO v_found USING p_value;
    PERFORM set_config('storekit.lookup', '', true);
    RETURN CASE WHEN jsonb_array_length(v_found) = 1 THEN v_found -> 0 END;
END
$function$;

ALTER FUNCTION storekit.lookup_v1(text,text) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.lookup_v1(text,text) TO storekit_app;
