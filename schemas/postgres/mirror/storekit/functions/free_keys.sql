-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.free_keys(p_table regclass, p_changed jsonb, p_restored jsonb, p_inserted jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_freed jsonb := '{}';
    v_rows  jsonb;
    v_key   record;
BEGIN
    FOR v_key IN SELECT * FROM storekit.spare_columns(p_table) LOOP
        v_rows := storekit.exchanged_rows(
            p_table, v_key.key_columns, v_key.predicate, v_key.name, p_changed, p_restored, p_inserted);
        CONTINUE WHEN v_rows IS NULL;
        IF v_key.reference IS NOT NULL THEN
            EXECUTE format('SET CONSTRAINTS %s DEFERRED', v_key.reference);
        END IF;
        EXECUTE format(
            'UPDATE %s AS _row SET %I = %s, version = -1
             WHERE _row.tenant_id = storekit.current_tenant() AND _row.ref_id = ANY ($1)',
            p_table, v_key.name, v_key.spare)
        USING ARRAY(SELECT jsonb_object_keys(v_rows));
        -- A row may lose the values of two keys, and a column may be part of both.
        SELECT v_freed || jsonb_object_agg(
            r.key, jsonb_build_object(v_key.name, r.value) || coalesce(v_freed -> r.key, '{}'))
        INTO v_freed FROM jsonb_each(v_rows) AS r;
    END LOOP;
    RETURN v_freed;
END
$function$;

ALTER FUNCTION storekit.free_keys(regclass,jsonb,jsonb,jsonb) OWNER TO storekit_owner;
