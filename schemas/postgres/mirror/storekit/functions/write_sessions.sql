-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.write_sessions(p_op text, p_columns text[], p_refs text[], p_rows jsonb, p_ref_ids text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
#variable_conflict use_variable
DECLARE
    v_rows jsonb;
    v_done jsonb;
BEGIN
    IF NOT (p_columns <@ '{token_digest,user_name,expires_on}'::text[] AND p_refs <@ '{}'::text[]) THEN
        RAISE EXCEPTION 'table % has no column or part %', 'sessions', (
            SELECT string_agg(name, ', ') FROM (
                SELECT name FROM unnest(p_columns) AS name WHERE name <> ALL ('{token_digest,user_name,expires_on}'::text[])
                UNION ALL
                SELECT name FROM unnest(p_refs) AS name WHERE name <> ALL ('{}'::text[])) AS missing)
            USING ERRCODE = 'SK424', HINT = 'add the column in a migration';
    END IF;
    IF p_op <> 'insert' THEN
        SELECT jsonb_object_agg(r ->> 'ref_id', r) INTO v_rows FROM jsonb_array_elements(p_rows) AS r;
    END IF;
    CASE p_op
    WHEN 'lock' THEN
        EXECUTE 'SELECT FROM public.sessions AS t WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($1)
            ORDER BY t.ref_id FOR NO KEY UPDATE' USING p_ref_ids;
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO public.sessions AS t (tenant_id, id, ref_id, token_digest, user_name, expires_on)
            SELECT storekit.current_tenant(), r.id, r.ref_id, r.token_digest, r.user_name, r.expires_on
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text, token_digest text, user_name text, expires_on timestamp with time zone)
            ORDER BY r.ref_id COLLATE "C"
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;
    WHEN 'update' THEN
        EXECUTE $change$
            WITH done AS (
                UPDATE public.sessions AS t SET (token_digest, user_name, expires_on) = (SELECT CASE WHEN 'token_digest' = ANY ($1) THEN r.token_digest ELSE t.token_digest END, CASE WHEN 'user_name' = ANY ($1) THEN r.user_name ELSE t.user_name END, CASE WHEN 'expires_on' = ANY ($1) THEN r.expires_on ELSE t.expires_on END FROM jsonb_to_record($3 -> t.ref_id) AS r(token_digest text, user_name text, expires_on timestamp with time zone))
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version)
                RETURNING t.ref_id, t.version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    WHEN 'delete' THEN
        EXECUTE $change$
            WITH done AS (
                DELETE FROM public.sessions AS t
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version)
                RETURNING t.ref_id, t.version + 1 AS version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    END CASE;
    RETURN coalesce(v_done, '{}');
END
$function$;

ALTER FUNCTION storekit.write_sessions(text,text[],text[],jsonb,text[]) OWNER TO storekit_owner;
