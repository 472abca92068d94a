-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.write_llm_calls(p_op text, p_columns text[], p_refs text[], p_rows jsonb, p_ref_ids text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
#variable_conflict use_variable
DECLARE
    v_rows jsonb;
    v_done jsonb;
BEGIN
    IF NOT (p_columns <@ '{run_id,model,input_tokens,output_tokens,cost}'::text[] AND p_refs <@ '{}'::text[]) THEN
        RAISE EXCEPTION 'table % has no column or part %', 'llm_calls', (
            SELECT string_agg(name, ', ') FROM (
                SELECT name FROM unnest(p_columns) AS name WHERE name <> ALL ('{run_id,model,input_tokens,output_tokens,cost}'::text[])
                UNION ALL
                SELECT name FROM unnest(p_refs) AS name WHERE name <> ALL ('{}'::text[])) AS missing)
            USING ERRCODE = 'SK424', HINT = 'add the column in a migration';
    END IF;
    IF p_op <> 'insert' THEN
        SELECT jsonb_object_agg(r ->> 'ref_id', r) INTO v_rows FROM jsonb_array_elements(p_rows) AS r;
    END IF;
    CASE p_op
    WHEN 'lock' THEN
        EXECUTE 'SELECT FROM public.llm_calls AS t WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($1)
            ORDER BY t.ref_id FOR NO KEY UPDATE' USING p_ref_ids;
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO public.llm_calls AS t (tenant_id, id, ref_id, run_id, model, input_tokens, output_tokens, cost)
            SELECT storekit.current_tenant(), r.id, r.ref_id, r.run_id, r.model, r.input_tokens, r.output_tokens, r.cost
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text, run_id uuid, model text, input_tokens bigint, output_tokens bigint, cost numeric)
            ORDER BY r.ref_id COLLATE "C"
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;
    END CASE;
    RETURN coalesce(v_done, '{}');
END
$function$;

ALTER FUNCTION storekit.write_llm_calls(text,text[],text[],jsonb,text[]) OWNER TO storekit_owner;
