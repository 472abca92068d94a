-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.write_activity_outputs(p_op text, p_columns text[], p_refs text[], p_rows jsonb, p_ref_ids text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
#variable_conflict use_variable
DECLARE
    v_rows jsonb;
    v_done jsonb;
BEGIN
    IF NOT (p_columns <@ '{run_id,status,reviewed_on,reviewed_by}'::text[] AND p_refs <@ '{content,metadata}'::text[]) THEN
        RAISE EXCEPTION 'table % has no column or part %', 'activity_outputs', (
            SELECT string_agg(name, ', ') FROM (
                SELECT name FROM unnest(p_columns) AS name WHERE name <> ALL ('{run_id,status,reviewed_on,reviewed_by}'::text[])
                UNION ALL
                SELECT name FROM unnest(p_refs) AS name WHERE name <> ALL ('{content,metadata}'::text[])) AS missing)
            USING ERRCODE = 'SK424', HINT = 'add the column in a migration';
    END IF;
    IF p_op <> 'insert' THEN
        SELECT jsonb_object_agg(r ->> 'ref_id', r) INTO v_rows FROM jsonb_array_elements(p_rows) AS r;
    END IF;
    CASE p_op
    WHEN 'lock' THEN
        EXECUTE 'SELECT FROM public.activity_outputs AS t WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($1)
            ORDER BY t.ref_id FOR NO KEY UPDATE' USING p_ref_ids;
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO public.activity_outputs AS t (tenant_id, id, ref_id, run_id, status, reviewed_on, reviewed_by, content_ref, metadata_ref)
            SELECT storekit.current_tenant(), r.id, r.ref_id, r.run_id, CASE WHEN 'status' = ANY (p_columns) THEN r.status ELSE 'draft'::public.activity_outputs_status END, r.reviewed_on, r.reviewed_by, r.content_ref, r.metadata_ref
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text, run_id uuid, status public.activity_outputs_status, reviewed_on timestamp with time zone, reviewed_by text, content_ref uuid, metadata_ref uuid)
            ORDER BY r.ref_id COLLATE "C"
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;
    WHEN 'update' THEN
        EXECUTE $change$
            WITH done AS (
                UPDATE public.activity_outputs AS t SET (run_id, status, reviewed_on, reviewed_by, content_ref, metadata_ref) = (SELECT CASE WHEN 'run_id' = ANY ($1) THEN r.run_id ELSE t.run_id END, CASE WHEN 'status' = ANY ($1) THEN r.status ELSE t.status END, CASE WHEN 'reviewed_on' = ANY ($1) THEN r.reviewed_on ELSE t.reviewed_on END, CASE WHEN 'reviewed_by' = ANY ($1) THEN r.reviewed_by ELSE t.reviewed_by END, CASE WHEN 'content' = ANY ($2) THEN r.content_ref ELSE t.content_ref END, CASE WHEN 'metadata' = ANY ($2) THEN r.metadata_ref ELSE t.metadata_ref END FROM jsonb_to_record($3 -> t.ref_id) AS r(run_id uuid, status public.activity_outputs_status, reviewed_on timestamp with time zone, reviewed_by text, content_ref uuid, metadata_ref uuid))
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version) AND t.deleted_on IS NULL
                RETURNING t.ref_id, t.version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    WHEN 'delete' THEN
        EXECUTE $change$
            WITH done AS (
                UPDATE public.activity_outputs AS t SET deleted_on = storekit.now(), deleted_by = storekit.current_actor()
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version) AND t.deleted_on IS NULL
                RETURNING t.ref_id, t.version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    WHEN 'restore' THEN
        EXECUTE $change$
            WITH done AS (
                UPDATE public.activity_outputs AS t SET deleted_on = NULL, deleted_by = NULL
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version) AND t.deleted_on IS NOT NULL
                RETURNING t.ref_id, t.version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    END CASE;
    RETURN coalesce(v_done, '{}');
END
$function$;

ALTER FUNCTION storekit.write_activity_outputs(text,text[],text[],jsonb,text[]) OWNER TO storekit_owner;
