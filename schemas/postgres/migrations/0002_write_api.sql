-- The write API: one call = one transaction = one trip. The conditions on claims, leases and idempotency keys
-- are those of a model-checked rule: none of them is spare.
-- The four functions at the door turn sequential scans off: a plan made while a table fitted on a page would
-- be kept while it grows.

-- Scope and small help ----------------------------------------------------------------------------------

CREATE FUNCTION storekit.enter(p_tenant uuid, p_actor text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    IF p_tenant IS NULL OR coalesce(p_actor, '') = '' THEN
        RAISE EXCEPTION 'no tenant or no actor was named' USING ERRCODE = 'SK400';
    ELSIF storekit.current_tenant() <> p_tenant THEN
        RAISE EXCEPTION 'this transaction belongs to another tenant' USING ERRCODE = 'SK004';
    END IF;
    PERFORM set_config('storekit.tenant', p_tenant::text, true), set_config('storekit.actor', p_actor, true);
END
$$;

-- An entity as the ledger names it: `tool_calls` in public, else `schema.name`.
CREATE FUNCTION storekit.entity_name(p_name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE WHEN starts_with(p_name, 'public.') THEN substr(p_name, 8) ELSE p_name END;

CREATE FUNCTION storekit.find_managed(p_name text) RETURNS storekit.managed
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_found storekit.managed;
BEGIN
    SELECT * INTO v_found FROM storekit.managed AS m WHERE m.entity = storekit.entity_name(p_name);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % is not managed by storekit', coalesce(p_name, 'null')
            USING ERRCODE = 'SK400', HINT = 'call storekit.manage() in the migration that makes the table';
    END IF;
    RETURN v_found;
END
$$;

-- The first of some rows {ref_id, expected_version} that is missing or has moved on, else null.
-- For refusals and for `targets`; the table is not known before, so this one is dynamic.
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

-- Claims ------------------------------------------------------------------------------------------------

-- Answer for a write id that is there, or null when it is absent and young enough to be inserted.
CREATE FUNCTION storekit.own_write(p_tenant uuid, p_write_id uuid) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_write storekit.write;
BEGIN
    SELECT * INTO v_write FROM storekit.write AS w WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id;
    RETURN CASE
        WHEN v_write.state = 'committed' THEN
            jsonb_build_object('outcome', 'replay', 'write_id', p_write_id, 'result', v_write.result)
        WHEN v_write.state = 'pending' THEN jsonb_build_object('outcome', 'pending')
        WHEN v_write.state = 'aborted' OR storekit.id_time(p_write_id) < storekit.now() - interval '1 day' THEN
            jsonb_build_object('outcome', 'lost')
    END;
END
$$;

-- Answer for another holder of an idempotency key, or null when the key is free. A holder whose lease is
-- over is aborted here; its bytes are the sweep's, whoever aborted it.
CREATE FUNCTION storekit.free_key(p_tenant uuid, p_write_id uuid, p_key text, p_fingerprint bytea) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_holder storekit.write;
BEGIN
    IF p_key IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT * INTO v_holder FROM storekit.write AS w
    WHERE w.tenant_id = p_tenant AND w.idempotency_key = p_key AND w.state IN ('pending', 'committed')
      AND w.write_id <> p_write_id;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF v_holder.fingerprint IS DISTINCT FROM p_fingerprint THEN
        RETURN jsonb_build_object('outcome', 'mismatch');
    ELSIF v_holder.state = 'committed' THEN
        RETURN jsonb_build_object('outcome', 'replay', 'write_id', v_holder.write_id, 'result', v_holder.result);
    ELSIF v_holder.lease_until >= storekit.now() THEN
        RETURN storekit.held(v_holder.lease_until - storekit.now());
    END IF;
    PERFORM FROM storekit.write AS w
    WHERE w.tenant_id = p_tenant AND w.write_id = v_holder.write_id
      AND w.state = 'pending' AND w.lease_until < storekit.now()
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN storekit.held(interval '0');  -- it is committing, or somebody else is ending it
    END IF;
    PERFORM storekit.abort_pending(p_tenant, v_holder.write_id, storekit.now());
    RETURN NULL;
END
$$;

CREATE FUNCTION storekit.held(p_left interval) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object('outcome', 'held', 'lease_left', extract(epoch FROM p_left)::float8);

-- Abort a pending write, with its parts, if its lease ended before `p_lease_before` (null: however it stands).
CREATE FUNCTION storekit.abort_pending(p_tenant uuid, p_write_id uuid, p_lease_before timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    UPDATE storekit.write AS w SET state = 'aborted', finished_on = storekit.now()
    WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id AND w.state = 'pending'
      AND (p_lease_before IS NULL OR w.lease_until < p_lease_before);
    IF FOUND THEN
        UPDATE storekit.part AS p SET state = 'aborted'
        WHERE p.tenant_id = p_tenant AND p.write_id = p_write_id AND p.state = 'pending';
    END IF;
END
$$;

-- Insert the own row under a key in at most three rounds; null when it is in, else the outcome.
-- It waits a second at most for a row in flight; each statement takes its own snapshot.
CREATE FUNCTION storekit.insert_write(
    p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea, p_lease interval
) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    v_outcome jsonb;
BEGIN
    FOR v_round IN 1..3 LOOP
        v_outcome := storekit.free_key(p_tenant, p_write_id, p_key, p_fingerprint);
        EXIT WHEN v_outcome IS NOT NULL;
        INSERT INTO storekit.write
            (tenant_id, write_id, state, idempotency_key, fingerprint, lease_until, actor, finished_on)
        VALUES (
            p_tenant, p_write_id, CASE WHEN p_lease IS NULL THEN 'committed' ELSE 'pending' END::storekit.write_state,
            p_key, p_fingerprint, storekit.now() + p_lease, p_actor, CASE WHEN p_lease IS NULL THEN storekit.now() END)
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        v_outcome := storekit.own_write(p_tenant, p_write_id);
        EXIT WHEN v_outcome IS NOT NULL;
    END LOOP;
    RETURN coalesce(v_outcome, storekit.held(interval '0'));
EXCEPTION WHEN lock_not_available THEN
    RETURN storekit.held(interval '0');
END
$$;

-- Stage ---------------------------------------------------------------------------------------------------

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
    RAISE EXCEPTION '% is not declared as a part, or expires without a ttl', v_unknown
        USING ERRCODE = 'SK400', HINT = 'declare it in storekit.field, in a migration';
END
$$;

CREATE FUNCTION storekit.stage_v1(
    p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea,
    p_lease interval, p_parts jsonb, p_targets jsonb
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET enable_seqscan = off AS $$
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
        -- The key is ours before the targets are read: a retry of a committed save must replay, not conflict.
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

CREATE FUNCTION storekit.renew_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_lease interval) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET enable_seqscan = off AS $$
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

-- Commit --------------------------------------------------------------------------------------------------

-- The visibility of everything hangs on this: null when the write is now committed, else the outcome.
CREATE FUNCTION storekit.claim(
    p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea, p_staged boolean
) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_outcome jsonb := '{"outcome": "pending"}';
BEGIN
    IF NOT p_staged THEN
        v_outcome := CASE WHEN storekit.id_time(p_write_id) < storekit.now() - interval '1 day'
            THEN storekit.own_write(p_tenant, p_write_id)
            ELSE storekit.insert_write(p_tenant, p_actor, p_write_id, p_key, p_fingerprint, NULL) END;
    END IF;
    IF v_outcome ->> 'outcome' = 'pending' THEN
        -- A late commit that nobody robbed is welcome: the lease is not asked.
        UPDATE storekit.write AS w SET state = 'committed', finished_on = storekit.now()
        WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id AND w.state = 'pending';
        v_outcome := CASE WHEN NOT FOUND
            THEN coalesce(storekit.own_write(p_tenant, p_write_id), '{"outcome": "lost"}') END;
    END IF;
    RETURN v_outcome;
END
$$;

-- Flip the write's parts. Rows and parts must name each other one to one, in every word.
CREATE FUNCTION storekit.commit_parts(p_tenant uuid, p_write_id uuid, p_parts jsonb, p_ops jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_parts   jsonb;  -- what was uploaded, by part id
    v_refs    jsonb;  -- the row and field that names it, by part id
    v_named   bigint;
    v_flipped bigint := 0;
BEGIN
    SELECT jsonb_object_agg(item ->> (field || '_ref'),
               jsonb_build_array(storekit.entity_name(op ->> 'entity'), item -> 'ref_id', field)), count(*)
    INTO v_refs, v_named
    FROM jsonb_array_elements(p_ops) AS op,
         jsonb_array_elements_text(op -> 'refs') AS field,
         jsonb_array_elements(op -> 'rows') AS item
    WHERE item ->> (field || '_ref') IS NOT NULL;
    IF p_parts <> '[]' THEN
        SELECT jsonb_object_agg(part ->> 'part_id', part) INTO v_parts FROM jsonb_array_elements(p_parts) AS part;
        -- Looked up by key, not joined: a plan cached for one part would make a batch quadratic.
        UPDATE storekit.part AS p SET
            state = 'committed',
            version_id = v_parts -> p.part_id::text ->> 'version_id',
            size = coalesce(p.size, (v_parts -> p.part_id::text ->> 'size')::bigint),
            sha256 = coalesce(p.sha256, (v_parts -> p.part_id::text ->> 'sha256')::bytea)
        WHERE p.tenant_id = p_tenant AND p.write_id = p_write_id AND v_parts ? p.part_id::text
          AND v_refs -> p.part_id::text = jsonb_build_array(p.entity, p.ref_id, p.field);
        GET DIAGNOSTICS v_flipped = ROW_COUNT;
    END IF;
    IF v_flipped <> v_named OR v_flipped <> jsonb_array_length(p_parts) OR EXISTS (
        SELECT FROM storekit.part AS p
        WHERE p.tenant_id = p_tenant AND p.write_id = p_write_id AND p.state = 'pending'
    ) THEN
        RAISE EXCEPTION 'write %: its rows name % parts, % were uploaded, and % of these belong to the row and field '
            'that names them', p_write_id, v_named, jsonb_array_length(p_parts), v_flipped USING ERRCODE = 'SK400';
    END IF;
END
$$;

-- Lock what will change in one order for everybody, so that two batches cannot deadlock.
CREATE FUNCTION storekit.lock_rows(p_ops jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_rows record;
BEGIN
    FOR v_rows IN
        SELECT op ->> 'entity' AS name, array_agg(item ->> 'ref_id') AS ref_ids, sum(count(*)) OVER () AS total
        FROM jsonb_array_elements(p_ops) AS op, jsonb_array_elements(op -> 'rows') AS item
        WHERE op ->> 'op' <> 'insert'
        GROUP BY 1 ORDER BY storekit.entity_name(op ->> 'entity')
    LOOP
        EXIT WHEN v_rows.total = 1;  -- its own change locks it
        EXECUTE format('SELECT storekit.%I(''lock'', NULL, NULL, NULL, $1)',
            'write_' || (storekit.find_managed(v_rows.name)).entity)
        USING v_rows.ref_ids;
    END LOOP;
END
$$;

-- Do one op after checking its shape; answers [[entity, ref_id, version], ...].
CREATE FUNCTION storekit.write_rows(p_op jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_table   storekit.managed := storekit.find_managed(p_op ->> 'entity');
    v_op      text   := p_op ->> 'op';
    v_rows    jsonb  := p_op -> 'rows';
    v_columns text[] := ARRAY(SELECT jsonb_array_elements_text(p_op -> 'columns'));
    v_refs    text[] := ARRAY(SELECT jsonb_array_elements_text(p_op -> 'refs'));
    v_keys    text[] := v_columns || ARRAY(SELECT r || '_ref' FROM unnest(v_refs) AS r)
                        || CASE WHEN v_op = 'insert' THEN '{ref_id,id}' ELSE '{ref_id}' END::text[];
    v_ids     text[];
    v_done    jsonb;
    v_refused jsonb;
BEGIN
    IF coalesce(v_op, '') NOT IN ('insert', 'update', 'delete', 'restore')
       OR v_op = 'update' AND NOT v_table.mutable
       OR v_op = 'delete' AND NOT (v_table.mutable OR v_table.soft_delete)
       OR v_op = 'restore' AND NOT v_table.soft_delete
       OR v_op IN ('delete', 'restore') AND cardinality(v_columns || v_refs) > 0 THEN
        RAISE EXCEPTION 'table % takes no %', v_table.entity, v_op USING ERRCODE = 'SK400';
    END IF;
    IF EXISTS (
        SELECT FROM jsonb_array_elements(v_rows) AS r
        WHERE NOT r ?& v_keys OR r - v_keys - 'expected_version'::text <> '{}'
           OR v_op = 'insert' AND r ->> 'expected_version' IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'a row for % has other keys than %', v_table.entity, v_keys USING ERRCODE = 'SK400';
    END IF;
    SELECT array_agg(DISTINCT r ->> 'ref_id') INTO v_ids FROM jsonb_array_elements(v_rows) AS r;
    IF cardinality(v_ids) <> jsonb_array_length(v_rows) THEN
        RAISE EXCEPTION 'a row of % comes twice in one batch', v_table.entity USING ERRCODE = 'SK400';
    END IF;

    EXECUTE format('SELECT storekit.%I($1, $2, $3, $4, $5)', 'write_' || v_table.entity)
    INTO v_done USING v_op, v_columns, v_refs, v_rows, v_ids;

    IF NOT v_done ?& v_ids THEN
        v_refused := storekit.first_refused(v_table.entity, v_op, v_rows, ARRAY(SELECT jsonb_object_keys(v_done)));
        IF v_refused ->> 'found' IS NULL THEN
            RAISE EXCEPTION '% % was not found', v_table.entity, v_refused ->> 'ref_id'
                USING ERRCODE = 'SK404', DETAIL = v_refused - '{expected,found}'::text[];
        END IF;
        RAISE EXCEPTION '% % has version %, not %', v_table.entity, v_refused ->> 'ref_id',
            v_refused ->> 'found', v_refused ->> 'expected' USING ERRCODE = 'SK409', DETAIL = v_refused;
    END IF;
    -- In the order of the request, not of the locks: a replay tells by it which row is which.
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_array(v_table.entity, r.item -> 'ref_id', v_done -> (r.item ->> 'ref_id'))
                   ORDER BY r.n), '[]')
        FROM jsonb_array_elements(v_rows) WITH ORDINALITY AS r(item, n));
END
$$;

CREATE FUNCTION storekit.commit_v1(
    p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea, p_parts jsonb, p_ops jsonb
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET enable_seqscan = off SET lock_timeout = '5s' AS $$
DECLARE
    v_parts   jsonb := coalesce(p_parts, '[]');
    v_outcome jsonb;
    v_rows    jsonb := '[]';
    v_op      jsonb;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    v_outcome := storekit.claim(p_tenant, p_actor, p_write_id, p_key, p_fingerprint, v_parts <> '[]');
    IF v_outcome IS NOT NULL THEN
        RETURN v_outcome;
    END IF;
    PERFORM set_config('storekit.write_id', p_write_id::text, true);
    PERFORM storekit.commit_parts(p_tenant, p_write_id, v_parts, p_ops);
    PERFORM storekit.lock_rows(p_ops);
    FOR v_op IN SELECT op FROM jsonb_array_elements(p_ops) AS op LOOP
        v_rows := v_rows || storekit.write_rows(v_op);
    END LOOP;
    UPDATE storekit.write AS w SET result = jsonb_build_object('rows', v_rows)
    WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id;
    -- What the caller's own SQL does next in this transaction is not this write's doing.
    PERFORM set_config('storekit.write_id', '', true);
    RETURN jsonb_build_object('outcome', 'committed', 'now', storekit.now(), 'rows', v_rows);
END
$$;

-- Settle a write whose outcome the caller does not know. It waits for a commit in flight on the row's lock.
CREATE FUNCTION storekit.abandon_v1(p_tenant uuid, p_actor text, p_write_id uuid) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET enable_seqscan = off SET lock_timeout = '5s' AS $$
DECLARE
    v_outcome jsonb;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    IF storekit.id_time(p_write_id) >= storekit.now() - interval '1 day' THEN
        INSERT INTO storekit.write (tenant_id, write_id, state, actor, finished_on)
        VALUES (p_tenant, p_write_id, 'aborted', p_actor, storekit.now())
        ON CONFLICT (tenant_id, write_id) DO NOTHING;
    END IF;
    PERFORM storekit.abort_pending(p_tenant, p_write_id, NULL);
    SELECT jsonb_build_object('outcome', w.state) || CASE WHEN w.state = 'committed'
        THEN jsonb_build_object('write_id', w.write_id, 'result', w.result) ELSE '{}' END
    INTO v_outcome
    FROM storekit.write AS w WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id;
    RETURN coalesce(v_outcome, jsonb_build_object('outcome', 'unknown'));
END
$$;

GRANT EXECUTE ON FUNCTION
    storekit.stage_v1(uuid, text, uuid, text, bytea, interval, jsonb, jsonb),
    storekit.renew_v1(uuid, text, uuid, interval),
    storekit.commit_v1(uuid, text, uuid, text, bytea, jsonb, jsonb),
    storekit.abandon_v1(uuid, text, uuid)
TO storekit_app;
