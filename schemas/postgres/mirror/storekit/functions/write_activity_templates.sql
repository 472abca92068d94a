-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.write_activity_templates(p_op text, p_columns text[], p_refs text[], p_rows jsonb, p_ref_ids text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
#variable_conflict use_variable
DECLARE
    v_rows jsonb;
    v_done jsonb;
BEGIN
    IF NOT (p_columns <@ '{name,agent,instructions}'::text[] AND p_refs <@ '{}'::text[]) THEN
        RAISE EXCEPTION 'table % has no column or part %', 'activity_templates', (
            SELECT string_agg(name, ', ') FROM (
                SELECT name FROM unnest(p_columns) AS name WHERE name <> ALL ('{name,agent,instructions}'::text[])
                UNION ALL
                SELECT name FROM unnest(p_refs) AS name WHERE name <> ALL ('{}'::text[])) AS missing)
            USING ERRCODE = 'SK424', HINT = 'add the column in a migration';
    END IF;
    IF p_op <> 'insert' THEN
        SELECT jsonb_object_agg(r ->> 'ref_id', r) INTO v_rows FROM jsonb_array_elements(p_rows) AS r;
    END IF;
    CASE p_op
    WHEN 'lock' THEN
        EXECUTE 'SELECT FROM public.activity_templates AS t WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($1)
            ORDER BY t.ref_id FOR NO KEY UPDATE' USING p_ref_ids;
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO public.activity_templates AS t (tenant_id, id, ref_id, name, agent, instructions)
            SELECT storekit.current_tenant(), r.id, r.ref_id, r.name, r.agent, r.instructions
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text, name text, agent text, instructions text)
            ORDER BY r.ref_id COLLATE "C"
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;
    WHEN 'update' THEN
        EXECUTE $change$
            WITH done AS (
                UPDATE public.activity_templates AS t SET (name, agent, instructions) = (SELECT CASE WHEN 'name' = ANY ($1) THEN r.name ELSE t.name END, CASE WHEN 'agent' = ANY ($1) THEN r.agent ELSE t.agent END, CASE WHEN 'instructions' = ANY ($1) THEN r.instructions ELSE t.instructions END FROM jsonb_to_record($3 -> t.ref_id) AS r(name text, agent text, instructions text))
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version)
                RETURNING t.ref_id, t.version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    WHEN 'delete' THEN
        EXECUTE $change$
            WITH done AS (
                DELETE FROM public.activity_templates AS t
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version)
                RETURNING t.ref_id, t.version + 1 AS version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    END CASE;
    RETURN coalesce(v_done, '{}');
END
$function$;

ALTER FUNCTION storekit.write_activity_templates(text,text[],text[],jsonb,text[]) OWNER TO storekit_owner;
