-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.write_blog_posts(p_op text, p_columns text[], p_refs text[], p_rows jsonb, p_ref_ids text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
#variable_conflict use_variable
DECLARE
    v_rows jsonb;
    v_done jsonb;
BEGIN
    IF NOT (p_columns <@ '{output_id,title,status,channel,word_count,reviewed_on,reviewed_by,published_on,external_id}'::text[] AND p_refs <@ '{}'::text[]) THEN
        RAISE EXCEPTION 'table % has no column or part %', 'blog_posts', (
            SELECT string_agg(name, ', ') FROM (
                SELECT name FROM unnest(p_columns) AS name WHERE name <> ALL ('{output_id,title,status,channel,word_count,reviewed_on,reviewed_by,published_on,external_id}'::text[])
                UNION ALL
                SELECT name FROM unnest(p_refs) AS name WHERE name <> ALL ('{}'::text[])) AS missing)
            USING ERRCODE = 'SK424', HINT = 'add the column in a migration';
    END IF;
    IF p_op <> 'insert' THEN
        SELECT jsonb_object_agg(r ->> 'ref_id', r) INTO v_rows FROM jsonb_array_elements(p_rows) AS r;
    END IF;
    CASE p_op
    WHEN 'lock' THEN
        EXECUTE 'SELECT FROM public.blog_posts AS t WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($1)
            ORDER BY t.ref_id FOR NO KEY UPDATE' USING p_ref_ids;
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO public.blog_posts AS t (tenant_id, id, ref_id, output_id, title, status, channel, word_count, reviewed_on, reviewed_by, published_on, external_id)
            SELECT storekit.current_tenant(), r.id, r.ref_id, r.output_id, r.title, CASE WHEN 'status' = ANY (p_columns) THEN r.status ELSE 'draft'::public.blog_posts_status END, r.channel, CASE WHEN 'word_count' = ANY (p_columns) THEN r.word_count ELSE 0 END, r.reviewed_on, r.reviewed_by, r.published_on, r.external_id
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text, output_id uuid, title text, status public.blog_posts_status, channel text, word_count bigint, reviewed_on timestamp with time zone, reviewed_by text, published_on timestamp with time zone, external_id text)
            ORDER BY r.ref_id COLLATE "C"
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;
    WHEN 'update' THEN
        EXECUTE $change$
            WITH done AS (
                UPDATE public.blog_posts AS t SET (output_id, title, status, channel, word_count, reviewed_on, reviewed_by, published_on, external_id) = (SELECT CASE WHEN 'output_id' = ANY ($1) THEN r.output_id ELSE t.output_id END, CASE WHEN 'title' = ANY ($1) THEN r.title ELSE t.title END, CASE WHEN 'status' = ANY ($1) THEN r.status ELSE t.status END, CASE WHEN 'channel' = ANY ($1) THEN r.channel ELSE t.channel END, CASE WHEN 'word_count' = ANY ($1) THEN r.word_count ELSE t.word_count END, CASE WHEN 'reviewed_on' = ANY ($1) THEN r.reviewed_on ELSE t.reviewed_on END, CASE WHEN 'reviewed_by' = ANY ($1) THEN r.reviewed_by ELSE t.reviewed_by END, CASE WHEN 'published_on' = ANY ($1) THEN r.published_on ELSE t.published_on END, CASE WHEN 'external_id' = ANY ($1) THEN r.external_id ELSE t.external_id END FROM jsonb_to_record($3 -> t.ref_id) AS r(output_id uuid, title text, status public.blog_posts_status, channel text, word_count bigint, reviewed_on timestamp with time zone, reviewed_by text, published_on timestamp with time zone, external_id text))
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version) AND t.deleted_on IS NULL
                RETURNING t.ref_id, t.version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    WHEN 'delete' THEN
        EXECUTE $change$
            WITH done AS (
                UPDATE public.blog_posts AS t SET deleted_on = storekit.now(), deleted_by = storekit.current_actor()
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version) AND t.deleted_on IS NULL
                RETURNING t.ref_id, t.version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    WHEN 'restore' THEN
        EXECUTE $change$
            WITH done AS (
                UPDATE public.blog_posts AS t SET deleted_on = NULL, deleted_by = NULL
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version) AND t.deleted_on IS NOT NULL
                RETURNING t.ref_id, t.version)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;
    END CASE;
    RETURN coalesce(v_done, '{}');
END
$function$;

ALTER FUNCTION storekit.write_blog_posts(text,text[],text[],jsonb,text[]) OWNER TO storekit_owner;
