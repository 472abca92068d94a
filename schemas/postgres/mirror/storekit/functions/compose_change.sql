-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.compose_change(p_op text, p_table regclass, p_sets text, p_condition text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
RETURN format('
    WHEN %L THEN
        EXECUTE $change$
            WITH done AS (
                %s
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> ''expected_version'')::bigint, t.version)%s
                RETURNING t.ref_id, t.version%s)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;'::text, p_op, CASE WHEN (p_sets IS NULL) THEN format('DELETE FROM %s AS t'::text, p_table) ELSE format('UPDATE %s AS t SET %s'::text, p_table, p_sets) END, COALESCE((' AND '::text || p_condition), ''::text), CASE WHEN (p_sets IS NULL) THEN ' + 1 AS version'::text ELSE ''::text END);

ALTER FUNCTION storekit.compose_change(text,regclass,text,text) OWNER TO storekit_owner;
