-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.write_activity_runs(p_op text, p_columns text[], p_refs text[], p_rows jsonb, p_ref_ids text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
#variable_conflict use_variable
DECLARE
    v_rows jsonb;
    v_done jsonb;
BEGIN
    IF NOT (p_columns <@ '{activity,agent,attempt,status,started_on,finished_on,error}'::text[] AND p_refs <@ '{}'::text[]) THEN
        RAISE EXCEPTION 'table % has no column or part %', 'activity_runs', (
            SELECT string_agg(name, ', ') FROM (
                SELECT name FROM unnest(p_columns) AS name WHERE name <> ALL ('{activity,agent,attempt,status,started_on,finished_on,error}'::text[])
                UNION ALL
                SELECT name FROM unnest(p_refs) AS name WHERE name <> ALL ('{}'::text[])) AS missing)
            USING ERRCODE = 'SK424', HINT = 'add the column in a migration';
    END IF;
    IF p_op <> 'insert' THEN
        SELECT jsonb_object_agg(r ->> 'ref_id', r) INTO v_rows FROM jsonb_array_elements(p_rows) AS r;
    END IF;
    CASE p_op
    WHEN 'lock' THEN
        EXECUTE 'SELECT FROM public.activity_runs AS t WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($1)
            ORDER BY t.ref_id FOR NO KEY UPDATE' USING p_ref_ids;
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO public.activity_runs AS t (tenant_id, id, ref_id, activity, agent, attempt, status, started_on, finished_on, error)
            SELECT storekit.current_tenant(), r.id, r.ref_id, r.activity, r.agent, CASE WHEN 'attempt' = ANY (p_columns) THEN r.attempt ELSE 1 END, CASE WHEN 'status' = ANY (p_columns) THEN r.status ELSE 'pending'::public.activity_runs_status END, r.started_on, r.finished_on, r.error
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text, activity text, agent text, attempt bigint, status public.activity_runs_status, started_on timestamp with time zone, finished_on timestamp with time zone, error text)
            ORDER BY r.ref_id COLLATE "C"
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;
    WHEN 'update' THEN
        EXECUTE $change$
            WITH done AS (
                UPDATE public.activity_runs AS t SET (activity, agent, attempt, status, started_on, finished_on, error) = (SELECT CASE WHEN 'activity' = ANY ($1) THEN r.activity ELSE t.activity END, CASE WHEN 'agent' = ANY ($1) THEN r.agent ELSE t.agent END, CASE WHEN 'attempt' = ANY ($1) THEN r.attempt ELSE t.attempt END, CASE WHEN 'status' = ANY ($1) THEN r.status ELSE t.status END, CASE WHEN 'started_on' = ANY ($1) THEN r.started_on ELSE t.started_on END, CASE WHEN 'finished_on' = ANY ($1) THEN r.finished_on ELSE t.finished_on END, CASE WHEN 'error' = ANY ($1) THEN r.error ELSE t.error END FROM jsonb_to_record($3 -> t.ref_id) AS r(activity text, agent text, attempt bigint, status public.activity_runs_status, started_on timestamp with time zone, finished_on timestamp with time zone, error text))
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version)
                RETURNING t.ref_id, t.version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    WHEN 'delete' THEN
        EXECUTE $change$
            WITH done AS (
                DELETE FROM public.activity_runs AS t
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version)
                RETURNING t.ref_id, t.version + 1 AS version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    END CASE;
    RETURN coalesce(v_done, '{}');
END
$function$;

ALTER FUNCTION storekit.write_activity_runs(text,text[],text[],jsonb,text[]) OWNER TO storekit_owner;
