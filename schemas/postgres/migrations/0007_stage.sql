-- Stage and renew. A write that uploads parts is recorded, with the key of each part, before its first byte is sent.
-- So every byte in S3 or MongoDB has a row by which the sweep can find and delete it.
--
-- All functions for the app set what their results and plans depend on, so that the settings of the session do not
-- matter: those of a login or database, of the environment, or of the statement that calls them, which may forbid
-- sorts. `enable_seqscan = off`: their plans are cached, and a plan from the time when a table had one page would be a
-- sequential scan, and would stay one while the table grows. `jit = off`: compiling costs more here than it saves.
-- `lock_timeout`: a call that waits for a row for more than 5 s fails and can be repeated.

-- Return the first of the rows {ref_id, expected_version} that is missing or has another version, or NULL. `p_done`
-- has the ref_ids of rows to skip. The condition `= ANY ($4)` seems redundant, but without it Postgres joins all rows
-- of the tenant (12,000 rows: 9.9 ms instead of 0.95 ms).
CREATE FUNCTION storekit.first_refused(p_name text, p_op text, p_rows jsonb, p_done text[] DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_table   storekit.managed := storekit.find_managed(p_name);
    v_refused jsonb;
BEGIN
    EXECUTE format(
        'SELECT jsonb_build_object(''entity'', $3, ''ref_id'', r.ref_id, ''expected'', r.expected_version, ''found'', t.version)
         FROM jsonb_to_recordset($1) AS r(ref_id text, expected_version bigint)
         LEFT JOIN %I.%I AS t
           ON t.tenant_id = storekit.current_tenant() AND t.ref_id = r.ref_id AND t.ref_id = ANY ($4) AND %s
         WHERE r.ref_id <> ALL ($2) AND (t.ref_id IS NULL OR t.version <> r.expected_version)
         ORDER BY r.ref_id COLLATE "C" LIMIT 1',
        v_table.schema_name, v_table.table_name,
        CASE WHEN NOT v_table.soft_delete THEN 'true'
             WHEN p_op = 'restore' THEN 't.deleted_on IS NOT NULL'
             ELSE 't.deleted_on IS NULL' END)
    INTO v_refused
    USING p_rows, p_done, v_table.entity, ARRAY(SELECT r ->> 'ref_id' FROM jsonb_array_elements(p_rows) AS r);
    RETURN v_refused;
END
$$;

-- Insert the pending parts of a write. The S3 keys are built here from ids and declared names, so they contain no text
-- of a user.
CREATE FUNCTION storekit.insert_parts(p_tenant uuid, p_write_id uuid, p_sign_until timestamptz, p_parts jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_inserted bigint;
    v_unknown  text;
BEGIN
    INSERT INTO storekit.part (
        tenant_id, part_id, write_id, entity, ref_id, field, store, key,
        size, sha256, media_type, filename, key_id, expires_on, sign_until)
    SELECT p_tenant, p.part_id, p_write_id, f.table_name, p.ref_id, p.field,
           CASE f.kind WHEN 'blob' THEN 's3' ELSE 'mongo' END,
           coalesce(f.collection, concat_ws('/', p_tenant, f.table_name, p.ref_id, p.field, p.part_id)),
           p.size, p.sha256, p.media_type, p.filename, p.key_id,
           least(p.expires_on, storekit.now() + f.ttl), p_sign_until
    FROM jsonb_to_recordset(p_parts) AS p(
        part_id uuid, entity text, ref_id text, field text, size bigint, sha256 bytea,
        media_type text, filename text, key_id text, expires_on timestamptz)
    JOIN storekit.field AS f
      ON f.table_name = storekit.entity_name(p.entity) AND f.field = p.field AND f.kind IN ('blob', 'document')
     AND (p.expires_on IS NULL OR f.ttl IS NOT NULL);
    GET DIAGNOSTICS v_inserted = ROW_COUNT;
    IF v_inserted = coalesce(jsonb_array_length(p_parts), 0) THEN
        RETURN;
    END IF;
    SELECT concat(p.entity, '.', p.field) INTO v_unknown
    FROM jsonb_to_recordset(p_parts) AS p(entity text, field text, expires_on timestamptz)
    WHERE NOT EXISTS (
        SELECT FROM storekit.field AS f
        WHERE f.table_name = storekit.entity_name(p.entity) AND f.field = p.field
          AND f.kind IN ('blob', 'document') AND (p.expires_on IS NULL OR f.ttl IS NOT NULL))
    LIMIT 1;
    -- Checked first: a table that is missing or not managed has no declarations either, but this error says more.
    PERFORM storekit.find_managed(p.entity) FROM jsonb_to_recordset(p_parts) AS p(entity text);
    RAISE EXCEPTION '% is not declared as a part, or expires without a ttl', v_unknown
        USING ERRCODE = 'SK424', HINT = 'declare the part in the class, and migrate';
END
$$;

-- Record a write with its parts. Repeating the call with the same write id returns the same keys. `p_targets` are the
-- rows that the write will change, so that a conflict is found before the upload.
CREATE FUNCTION storekit.stage_v1(
    p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea,
    p_lease interval, p_parts jsonb, p_targets jsonb
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off
SET lock_timeout = '5s' AS $$
DECLARE
    v_outcome jsonb;
    v_target  record;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    IF p_lease IS NULL OR p_lease NOT BETWEEN interval '1 millisecond' AND interval '1 day' THEN
        RAISE EXCEPTION 'lease % is not between 1 ms and 1 day', p_lease USING ERRCODE = 'SK400';
    END IF;
    v_outcome := coalesce(
        storekit.own_write(p_tenant, p_write_id),
        storekit.insert_write(p_tenant, p_actor, p_write_id, p_key, p_fingerprint, p_lease));
    IF v_outcome IS NULL THEN
        -- The key is claimed before the targets are read. Otherwise a retry of a committed save would find the version
        -- that it wrote itself and report a conflict, instead of returning the saved record.
        FOR v_target IN
            SELECT t ->> 'entity' AS entity, jsonb_agg(t) AS rows
            FROM jsonb_array_elements(p_targets) AS t GROUP BY 1 ORDER BY 1
        LOOP
            v_outcome := storekit.first_refused(v_target.entity, 'update', v_target.rows);
            IF v_outcome IS NOT NULL THEN
                DELETE FROM storekit.write AS w WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id;
                RETURN CASE WHEN v_outcome ->> 'found' IS NULL
                    THEN v_outcome - '{expected,found}'::text[] || '{"outcome": "missing"}'
                    ELSE v_outcome || '{"outcome": "conflict"}' END;
            END IF;
        END LOOP;
        PERFORM storekit.insert_parts(p_tenant, p_write_id, storekit.now() + p_lease, p_parts);
    ELSIF v_outcome ->> 'outcome' <> 'pending' THEN
        RETURN v_outcome;
    END IF;
    RETURN (
        SELECT jsonb_build_object(
            'outcome', 'staged', 'now', storekit.now(), 'sign_until', w.lease_until, 'parts', (
                SELECT coalesce(jsonb_object_agg(p.part_id, jsonb_build_object('key', p.key, 'expires_on', p.expires_on)), '{}')
                FROM storekit.part AS p WHERE p.tenant_id = p_tenant AND p.write_id = p_write_id))
        FROM storekit.write AS w WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id);
END
$$;

-- Extend the lease of a pending write and the time until which its uploads may be signed. Both only grow. A URL is
-- never signed for longer than the time that this call returns: the sweep deletes bytes after that time, when no URL
-- can store them again. A write that is older than 24 hours is not renewed, so that an upload without progress does
-- not hold its key for ever.
CREATE FUNCTION storekit.renew_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_lease interval) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off
SET lock_timeout = '5s' AS $$
DECLARE
    v_until timestamptz;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    IF p_lease IS NULL OR p_lease NOT BETWEEN interval '1 millisecond' AND interval '1 day' THEN
        RAISE EXCEPTION 'lease % is not between 1 ms and 1 day', p_lease USING ERRCODE = 'SK400';
    END IF;
    UPDATE storekit.write AS w SET lease_until = greatest(w.lease_until, storekit.now() + p_lease)
    WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id AND w.state = 'pending'
      AND w.created_on > storekit.now() - interval '24 hours'
    RETURNING w.lease_until INTO v_until;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', 'lost');
    END IF;
    UPDATE storekit.part AS p SET sign_until = greatest(p.sign_until, v_until)
    WHERE p.tenant_id = p_tenant AND p.write_id = p_write_id;
    RETURN jsonb_build_object('outcome', 'renewed', 'now', storekit.now(), 'sign_until', v_until);
END
$$;

GRANT EXECUTE ON FUNCTION
    storekit.stage_v1(uuid, text, uuid, text, bytea, interval, jsonb, jsonb),
    storekit.renew_v1(uuid, text, uuid, interval)
TO storekit_app;
