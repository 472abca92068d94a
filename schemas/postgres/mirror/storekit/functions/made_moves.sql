-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.made_moves(p_table storekit.managed, p_field text, p_rows jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_made    jsonb := '{}';
    v_row     record;
    v_state   text;
    v_version bigint;
BEGIN
    FOR v_row IN
        SELECT r ->> 'ref_id' AS ref_id, r ->> p_field AS target, (r ->> 'expected_version')::bigint AS expected
        FROM jsonb_array_elements(p_rows) AS r ORDER BY (r ->> 'ref_id') COLLATE "C"
    LOOP
        EXECUTE format(
            'SELECT t.%I::text, t.version FROM %I.%I AS t
             WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = $1%s FOR NO KEY UPDATE',
            p_field, p_table.schema_name, p_table.table_name,
            CASE WHEN p_table.soft_delete THEN ' AND t.deleted_on IS NULL' ELSE '' END)
        INTO v_state, v_version USING v_row.ref_id;
        -- The trigger of the table checks a changed state. The caller raises an error for a row that is missing.
        CONTINUE WHEN v_state IS DISTINCT FROM v_row.target OR EXISTS (
            SELECT FROM storekit.move AS m
            WHERE m.entity = p_table.entity AND m.from_state = v_state AND m.to_state = v_state);
        IF coalesce(v_version - v_row.expected NOT IN (0, 1), false) OR NOT EXISTS (
            SELECT FROM storekit.event AS e
            WHERE e.tenant_id = storekit.current_tenant() AND e.ref_id = v_row.ref_id AND e.entity = p_table.entity
              AND e.version = v_version AND e.type = p_table.entity || '.transitioned' AND e.after ->> p_field = v_state)
        THEN
            PERFORM storekit.refuse_state(p_table.entity, v_row.ref_id, v_state, v_row.target);
        END IF;
        v_made := v_made || jsonb_build_object(v_row.ref_id, v_version);
    END LOOP;
    RETURN v_made;
END
$function$;

ALTER FUNCTION storekit.made_moves(storekit.managed,text,jsonb) OWNER TO storekit_owner;
