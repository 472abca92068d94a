-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.begin_exchange(p_ops jsonb)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
    SELECT jsonb_object_agg(m.entity, storekit.free_keys(format('%I.%I', m.schema_name, m.table_name)::regclass, o.rows))
    FROM (
        SELECT storekit.entity_name(op ->> 'entity') AS name, jsonb_agg(item) AS rows
        FROM jsonb_array_elements(p_ops) AS op, jsonb_array_elements(op -> 'rows') AS item
        WHERE op ->> 'op' IN ('insert', 'update')
        GROUP BY 1
    ) AS o
    CROSS JOIN LATERAL storekit.find_writable(o.name) AS m;
$function$;

ALTER FUNCTION storekit.begin_exchange(jsonb) OWNER TO storekit_owner;
