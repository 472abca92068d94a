-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.free_keys(p_table regclass, p_rows jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET extra_float_digits TO '1'
AS $function$
DECLARE
    v_freed jsonb := '{}';
    v_some  jsonb;
    v_key   record;
BEGIN
    FOR v_key IN SELECT * FROM storekit.spare_columns(p_table) LOOP
        EXECUTE format($free$
            WITH asked AS (
                SELECT r AS item, r ->> 'ref_id' AS ref_id FROM jsonb_array_elements($1) AS r
            ), held AS (
                SELECT a.ref_id, a.item, to_jsonb(t.%1$I) AS value, ROW(%2$s) AS before, ROW(%3$s) AS after
                FROM asked AS a
                JOIN %4$s AS t ON t.tenant_id = storekit.current_tenant() AND t.ref_id = a.ref_id
                CROSS JOIN LATERAL jsonb_populate_record(t, a.item) AS n
            ), wanted AS (
                SELECT h.ref_id, h.after FROM held AS h
                UNION ALL
                SELECT a.ref_id, ROW(%3$s)
                FROM asked AS a CROSS JOIN LATERAL jsonb_populate_record(NULL::%4$s, a.item) AS n
                WHERE a.item ? 'id'
            ), done AS (
                UPDATE %4$s AS t SET %1$I = %5$s, version = -1
                FROM held AS h
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = h.ref_id AND h.item ? %6$L
                  AND EXISTS (SELECT FROM wanted AS w WHERE w.ref_id <> h.ref_id AND w.after = h.before)
                RETURNING h.ref_id, h.value
            )
            SELECT jsonb_object_agg(d.ref_id, jsonb_build_object(%6$L, d.value)) FROM done AS d $free$,
            v_key.name,
            (SELECT string_agg(format('t.%I', name), ', ') FROM unnest(v_key.key_columns) AS name),
            (SELECT string_agg(format('n.%I', name), ', ') FROM unnest(v_key.key_columns) AS name),
            p_table, v_key.spare, v_key.name)
        INTO v_some USING p_rows;
        -- A row may lose the values of two keys.
        SELECT v_freed || coalesce(jsonb_object_agg(s.key, coalesce(v_freed -> s.key, '{}') || s.value), '{}') INTO v_freed
        FROM jsonb_each(v_some) AS s;
    END LOOP;
    RETURN v_freed;
END
$function$;

ALTER FUNCTION storekit.free_keys(regclass,jsonb) OWNER TO storekit_owner;
