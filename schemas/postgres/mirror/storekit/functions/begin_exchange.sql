-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.begin_exchange(p_ops jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_freed jsonb := '{}';
    v_table record;
BEGIN
    FOR v_table IN
        SELECT m.entity, format('%I.%I', m.schema_name, m.table_name)::regclass AS name, o.*
        FROM (
            SELECT storekit.entity_name(op ->> 'entity') AS entity_name,
                   coalesce(jsonb_agg(r) FILTER (WHERE op ->> 'op' = 'update'), '[]') AS updated,
                   coalesce(jsonb_object_agg(r ->> 'ref_id', r) FILTER (WHERE op ->> 'op' IN ('update', 'transition')),
                       '{}') AS changed,
                   coalesce(jsonb_object_agg(r ->> 'ref_id', r || '{"deleted_on": null}')
                       FILTER (WHERE op ->> 'op' = 'restore'), '{}') AS restored,
                   coalesce(jsonb_object_agg(r ->> 'ref_id', r) FILTER (WHERE op ->> 'op' = 'insert'), '{}') AS inserted
            FROM jsonb_array_elements(p_ops) AS op, jsonb_array_elements(op -> 'rows') AS r
            GROUP BY 1
        ) AS o
        CROSS JOIN LATERAL storekit.find_writable(o.entity_name) AS m
        WHERE o.changed <> '{}'
        ORDER BY m.entity
    LOOP
        PERFORM storekit.refuse_row(v_table.entity, storekit.first_refused(v_table.entity, 'update', v_table.updated));
        v_freed := v_freed || jsonb_build_object(
            v_table.entity, storekit.free_keys(v_table.name, v_table.changed, v_table.restored, v_table.inserted));
    END LOOP;
    RETURN v_freed;
END
$function$;

ALTER FUNCTION storekit.begin_exchange(jsonb) OWNER TO storekit_owner;
