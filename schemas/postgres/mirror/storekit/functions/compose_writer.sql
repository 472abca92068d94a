-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.compose_writer(p_table regclass, p_entity text, p_columns text[], p_fields text[], p_mutable boolean, p_soft_delete boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_alive    text := CASE WHEN p_soft_delete THEN 't.deleted_on IS NULL' END;
    v_branches text := storekit.compose_insert(p_table, p_columns, p_fields);
BEGIN
    IF p_mutable THEN
        v_branches := v_branches || storekit.compose_change('update', p_table,
            storekit.compose_sets(p_table, p_entity, p_columns, p_fields), v_alive);
    END IF;
    IF p_soft_delete THEN
        v_branches := v_branches
            || storekit.compose_change('delete', p_table,
                'deleted_on = storekit.now(), deleted_by = storekit.current_actor()', v_alive)
            || storekit.compose_change('restore', p_table,
                'deleted_on = NULL, deleted_by = NULL', 't.deleted_on IS NOT NULL');
    ELSIF p_mutable THEN
        v_branches := v_branches || storekit.compose_change('delete', p_table, NULL, NULL);
    END IF;
    -- The body is a literal (%L): a column's default may hold any text, so no dollar quote is safe around it.
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION storekit.%I(p_op text, p_columns text[], p_refs text[], p_rows jsonb, p_ref_ids text[])
         RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS %L',
        'write_' || p_entity,
        storekit.compose_body(p_table, p_entity, p_columns, p_fields, v_branches));
END
$function$;

ALTER FUNCTION storekit.compose_writer(regclass,text,text[],text[],boolean,boolean) OWNER TO storekit_owner;
