-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.write_contracts(p_op text, p_columns text[], p_refs text[], p_rows jsonb, p_ref_ids text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
#variable_conflict use_variable
DECLARE
    v_rows jsonb;
    v_done jsonb;
BEGIN
    IF NOT (p_columns <@ '{title,accepted_by,accepted_on}'::text[] AND p_refs <@ '{pdf}'::text[]) THEN
        RAISE EXCEPTION 'table % has no column or part %', 'contracts', (
            SELECT string_agg(name, ', ') FROM (
                SELECT name FROM unnest(p_columns) AS name WHERE name <> ALL ('{title,accepted_by,accepted_on}'::text[])
                UNION ALL
                SELECT name FROM unnest(p_refs) AS name WHERE name <> ALL ('{pdf}'::text[])) AS missing)
            USING ERRCODE = 'SK424', HINT = 'add the column in a migration';
    END IF;
    IF p_op <> 'insert' THEN
        SELECT jsonb_object_agg(r ->> 'ref_id', r) INTO v_rows FROM jsonb_array_elements(p_rows) AS r;
    END IF;
    CASE p_op
    WHEN 'lock' THEN
        EXECUTE 'SELECT FROM public.contracts AS t WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($1)
            ORDER BY t.ref_id FOR NO KEY UPDATE' USING p_ref_ids;
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO public.contracts AS t (tenant_id, id, ref_id, title, accepted_by, accepted_on, pdf_ref)
            SELECT storekit.current_tenant(), r.id, r.ref_id, r.title, r.accepted_by, r.accepted_on, r.pdf_ref
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text, title text, accepted_by text, accepted_on timestamp with time zone, pdf_ref uuid)
            ORDER BY r.ref_id COLLATE "C"
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;
    END CASE;
    RETURN coalesce(v_done, '{}');
END
$function$;

ALTER FUNCTION storekit.write_contracts(text,text[],text[],jsonb,text[]) OWNER TO storekit_owner;
