-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.lock_rows(p_ops jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_rows record;
BEGIN
    FOR v_rows IN
        SELECT op ->> 'entity' AS name, array_agg(item ->> 'ref_id') AS ref_ids, sum(count(*)) OVER () AS total
        FROM jsonb_array_elements(p_ops) AS op, jsonb_array_elements(op -> 'rows') AS item
        WHERE op ->> 'op' <> 'insert'
        GROUP BY 1 ORDER BY storekit.entity_name(op ->> 'entity')
    LOOP
        EXIT WHEN v_rows.total = 1;  -- a single row needs no order: changing it locks it
        EXECUTE format('SELECT storekit.%I(''lock'', NULL, NULL, NULL, $1)',
            'write_' || (storekit.find_managed(v_rows.name)).entity)
        USING v_rows.ref_ids;
    END LOOP;
END
$function$;

ALTER FUNCTION storekit.lock_rows(jsonb) OWNER TO storekit_owner;
