-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.end_exchange(p_write_id uuid, p_ops jsonb, p_freed jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_column record;
    v_freed  record;
    v_key    text;
BEGIN
    FOR v_column IN
        SELECT m.schema_name, m.table_name, f.key AS name,
               jsonb_object_agg(r.item ->> 'ref_id', e.value -> (r.item ->> 'ref_id')) AS rows
        FROM jsonb_each(p_freed) AS e
        CROSS JOIN LATERAL storekit.find_managed(e.key) AS m
        JOIN jsonb_array_elements(p_ops) AS op ON storekit.entity_name(op ->> 'entity') = e.key
        CROSS JOIN LATERAL (SELECT item FROM jsonb_array_elements(op -> 'rows') AS item) AS r
        CROSS JOIN LATERAL jsonb_each(e.value -> (r.item ->> 'ref_id')) AS f
        WHERE op ->> 'op' IN ('update', 'transition') AND NOT r.item ? f.key
        GROUP BY 1, 2, 3
    LOOP
        EXECUTE format(
            'UPDATE %I.%I AS _row SET %I = (jsonb_populate_record(_row, $1 -> _row.ref_id)).%3$I, version = -1
             WHERE _row.tenant_id = storekit.current_tenant() AND _row.ref_id = ANY ($2)',
            v_column.schema_name, v_column.table_name, v_column.name)
        USING v_column.rows, ARRAY(SELECT jsonb_object_keys(v_column.rows));
    END LOOP;
    FOR v_key IN
        SELECT DISTINCT s.reference
        FROM jsonb_each(p_freed) AS e
        CROSS JOIN LATERAL storekit.find_managed(e.key) AS m
        CROSS JOIN LATERAL storekit.spare_columns(format('%I.%I', m.schema_name, m.table_name)::regclass) AS s
        WHERE s.reference IS NOT NULL AND EXISTS (SELECT FROM jsonb_each(e.value) AS r WHERE r.value ? s.name)
    LOOP
        EXECUTE format('SET CONSTRAINTS %s IMMEDIATE', v_key);
    END LOOP;
    FOR v_freed IN SELECT key AS entity, value AS rows FROM jsonb_each(p_freed) LOOP
        UPDATE storekit.event_inbox AS e SET
            before = (SELECT coalesce(jsonb_object_agg(b.key, coalesce(v_freed.rows -> e.ref_id -> b.key, b.value)), '{}')
                      FROM jsonb_each(e.before) AS b
                      WHERE v_freed.rows -> e.ref_id -> b.key IS DISTINCT FROM e.after -> b.key),
            after = (SELECT coalesce(jsonb_object_agg(a.key, a.value), '{}')
                     FROM jsonb_each(e.after) AS a WHERE v_freed.rows -> e.ref_id -> a.key IS DISTINCT FROM a.value)
        WHERE e.tenant_id = storekit.current_tenant() AND e.write_id = p_write_id AND e.entity = v_freed.entity
          AND e.ref_id = ANY (ARRAY(SELECT jsonb_object_keys(v_freed.rows)));
    END LOOP;
END
$function$;

ALTER FUNCTION storekit.end_exchange(uuid,jsonb,jsonb) OWNER TO storekit_owner;
