-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.compose_body(p_table regclass, p_entity text, p_columns text[], p_fields text[], p_branches text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    SELECT format($body$
#variable_conflict use_variable
DECLARE
    v_rows jsonb;
    v_done jsonb;
BEGIN
    IF NOT (p_columns <@ %1$L::text[] AND p_refs <@ %2$L::text[]) THEN
        RAISE EXCEPTION 'table %% has no column or part %%', %3$L, (
            SELECT string_agg(name, ', ') FROM (
                SELECT name FROM unnest(p_columns) AS name WHERE name <> ALL (%1$L::text[])
                UNION ALL
                SELECT name FROM unnest(p_refs) AS name WHERE name <> ALL (%2$L::text[])) AS missing)
            USING ERRCODE = 'SK424', HINT = 'add the column in a migration';
    END IF;
    IF p_op <> 'insert' THEN
        SELECT jsonb_object_agg(r ->> 'ref_id', r) INTO v_rows FROM jsonb_array_elements(p_rows) AS r;
    END IF;
    CASE p_op
    WHEN 'lock' THEN
        EXECUTE 'SELECT FROM %4$s AS t WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($1)
            ORDER BY t.ref_id FOR NO KEY UPDATE' USING p_ref_ids;%5$s
    END CASE;
    RETURN coalesce(v_done, '{}');
END
$body$, p_columns, p_fields, p_entity, p_table, p_branches);
$function$;

ALTER FUNCTION storekit.compose_body(regclass,text,text[],text[],text) OWNER TO storekit_owner;
