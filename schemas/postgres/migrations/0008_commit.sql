-- Commit, abandon and transition: each is one call, one transaction and one trip.

-- Set the parts of a write to committed. The rows must refer to each part exactly once, and each part must have been
-- staged for that entity, row and field: a foreign key proves that a part is live, but not that it belongs to the row
-- that refers to it.
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
        -- Looked up by key in jsonb, not joined: a join whose plan was cached for one part would read all parts for
        -- each part.
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

-- Lock the rows that will change, in the order of table and ref_id. All commits use this order, so two of them cannot
-- wait for each other (measured: 8 writers, 1,261 commits, no deadlock). Hand-written SQL in a unit of work may lock
-- in another order and deadlock with a commit; that error is retryable.
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
        EXIT WHEN v_rows.total = 1;  -- a single row needs no order: changing it locks it
        EXECUTE format('SELECT storekit.%I(''lock'', NULL, NULL, NULL, $1)',
            'write_' || (storekit.find_managed(v_rows.name)).entity)
        USING v_rows.ref_ids;
    END LOOP;
END
$$;

-- Call the writer of a table to delete rows permanently. Postgres reports 23503 both for a row that refers to a
-- missing row and for a row to which others refer; only the message differs, and it is translated. A delete can only
-- fail in the second way, so here it always fails with 23001, as Postgres 18 does for ON DELETE RESTRICT.
CREATE FUNCTION storekit.delete_rows(p_entity text, p_rows jsonb, p_ref_ids text[]) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_done       jsonb;
    v_message    text;
    v_detail     text;
    v_schema     text;
    v_table      text;
    v_constraint text;
BEGIN
    EXECUTE format('SELECT storekit.%I(''delete'', ''{}'', ''{}'', $1, $2)', 'write_' || p_entity)
    INTO v_done USING p_rows, p_ref_ids;
    RETURN v_done;
EXCEPTION WHEN foreign_key_violation OR restrict_violation THEN
    GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL,
        v_schema = SCHEMA_NAME, v_table = TABLE_NAME, v_constraint = CONSTRAINT_NAME;
    RAISE EXCEPTION '%', v_message USING ERRCODE = 'restrict_violation', DETAIL = v_detail,
        SCHEMA = v_schema, TABLE = v_table, CONSTRAINT = v_constraint;
END
$$;

-- Raise an error for a change of state that is not allowed; the detail has the allowed states.
CREATE FUNCTION storekit.refuse_state(p_entity text, p_ref_id text, p_from text, p_to text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_allowed text[] := ARRAY(
        SELECT m.to_state FROM storekit.move AS m WHERE m.entity = p_entity AND m.from_state = p_from ORDER BY 1);
BEGIN
    RAISE EXCEPTION '% %: it cannot %, only %', p_entity, p_ref_id,
        CASE p_from WHEN '' THEN 'start as ' || p_to ELSE 'change from ' || p_from || ' to ' || p_to END,
        coalesce(nullif(array_to_string(v_allowed, ', '), ''), 'stay as it is')
        USING ERRCODE = 'SK410', DETAIL = jsonb_build_object(
            'entity', p_entity, 'ref_id', p_ref_id, 'from', p_from, 'to', p_to, 'allowed', v_allowed);
END
$$;

-- Return {ref_id: version} of the rows whose last change was the transition that `p_rows` asks for. A task that is
-- delivered twice asks twice; the second time nothing is written, and the caller gets the row as it is. A row that
-- anything has changed since is not one of them: then this is another request. With an expected version, the row must
-- have it or the next one, which the first transition set. A row that is in the state for any other reason is refused:
-- unlike in an update, a transition to the current state must be allowed by the state machine.
CREATE FUNCTION storekit.made_moves(p_table storekit.managed, p_field text, p_rows jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_made    jsonb := '{}';
    v_row     record;
    v_state   text;
    v_version bigint;
BEGIN
    FOR v_row IN
        SELECT r ->> 'ref_id' AS ref_id, r ->> p_field AS target, (r ->> 'expected_version')::bigint AS expected
        FROM jsonb_array_elements(p_rows) AS r ORDER BY (r ->> 'ref_id') COLLATE "C"
    LOOP
        EXECUTE format(
            'SELECT t.%I::text, t.version FROM %I.%I AS t
             WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = $1%s FOR NO KEY UPDATE',
            p_field, p_table.schema_name, p_table.table_name,
            CASE WHEN p_table.soft_delete THEN ' AND t.deleted_on IS NULL' ELSE '' END)
        INTO v_state, v_version USING v_row.ref_id;
        -- The trigger of the table checks a changed state. The caller raises an error for a row that is missing.
        CONTINUE WHEN v_state IS DISTINCT FROM v_row.target OR EXISTS (
            SELECT FROM storekit.move AS m
            WHERE m.entity = p_table.entity AND m.from_state = v_state AND m.to_state = v_state);
        IF coalesce(v_version - v_row.expected NOT IN (0, 1), false) OR NOT EXISTS (
            SELECT FROM storekit.event AS e
            WHERE e.tenant_id = storekit.current_tenant() AND e.ref_id = v_row.ref_id AND e.entity = p_table.entity
              AND e.version = v_version AND e.type = p_table.entity || '.transitioned' AND e.after ->> p_field = v_state)
        THEN
            PERFORM storekit.refuse_state(p_table.entity, v_row.ref_id, v_state, v_row.target);
        END IF;
        v_made := v_made || jsonb_build_object(v_row.ref_id, v_version);
    END LOOP;
    RETURN v_made;
END
$$;

-- Raise an error if first_refused returned a row: the row is missing, or has another version.
CREATE FUNCTION storekit.refuse_row(p_entity text, p_refused jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    IF p_refused ->> 'found' IS NULL AND p_refused IS NOT NULL THEN
        RAISE EXCEPTION '% % was not found', p_entity, p_refused ->> 'ref_id'
            USING ERRCODE = 'SK404', DETAIL = p_refused - '{expected,found}'::text[];
    ELSIF p_refused IS NOT NULL THEN
        RAISE EXCEPTION '% % has version %, not %', p_entity, p_refused ->> 'ref_id',
            p_refused ->> 'found', p_refused ->> 'expected' USING ERRCODE = 'SK409', DETAIL = p_refused;
    END IF;
END
$$;

-- Check and execute one operation. Returns [[entity, ref_id, version], ...] in the order of the request. Each row must
-- have the same keys: a recordset reads a missing key as NULL and ignores an unknown key, and an update that has a row
-- twice applies only one of the two. In all three cases a value would be lost without an error. A `transition` is an
-- update of the state that takes a repetition for what it is.
CREATE FUNCTION storekit.write_rows(p_op jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_table   storekit.managed := storekit.find_writable(p_op ->> 'entity');
    v_op      text   := p_op ->> 'op';
    v_rows    jsonb  := p_op -> 'rows';
    v_columns text[] := ARRAY(SELECT jsonb_array_elements_text(p_op -> 'columns'));
    v_refs    text[] := ARRAY(SELECT jsonb_array_elements_text(p_op -> 'refs'));
    v_keys    text[] := v_columns || ARRAY(SELECT r || '_ref' FROM unnest(v_refs) AS r)
                        || CASE WHEN v_op = 'insert' THEN '{ref_id,id}' ELSE '{ref_id}' END::text[];
    v_ids     text[];
    v_made    jsonb := '{}';
    v_done    jsonb;
    v_refused jsonb;
BEGIN
    IF coalesce(v_op, '') NOT IN ('insert', 'update', 'delete', 'restore', 'transition', 'check')
       OR v_op IN ('update', 'transition') AND NOT v_table.mutable
       OR v_op = 'transition' AND v_columns || v_refs IS DISTINCT FROM ARRAY[storekit.state_field(v_table.entity)]
       OR v_op = 'delete' AND NOT (v_table.mutable OR v_table.soft_delete)
       OR v_op = 'restore' AND NOT v_table.soft_delete
       OR v_op IN ('delete', 'restore', 'check') AND cardinality(v_columns || v_refs) > 0 THEN
        RAISE EXCEPTION 'table % does not support %', v_table.entity, v_op USING ERRCODE = 'SK400';
    END IF;
    IF EXISTS (
        SELECT FROM jsonb_array_elements(v_rows) AS r
        WHERE NOT r ?& v_keys OR r - v_keys - 'expected_version'::text <> '{}'
           OR v_op = 'insert' AND r ->> 'expected_version' IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'each row for % must have exactly the keys %', v_table.entity, v_keys USING ERRCODE = 'SK400';
    END IF;
    SELECT array_agg(DISTINCT r ->> 'ref_id') INTO v_ids FROM jsonb_array_elements(v_rows) AS r;
    IF cardinality(v_ids) <> jsonb_array_length(v_rows) THEN
        RAISE EXCEPTION 'the batch names a row of % more than once', v_table.entity USING ERRCODE = 'SK400';
    END IF;

    IF v_op = 'check' THEN
        -- Locked, so that the versions stay as they are until the commit.
        EXECUTE format('SELECT storekit.%I(''lock'', ''{}'', ''{}'', ''[]'', $1)', 'write_' || v_table.entity) USING v_ids;
        v_done := '{}';
    ELSIF v_op = 'delete' AND NOT v_table.soft_delete THEN
        v_done := storekit.delete_rows(v_table.entity, v_rows, v_ids);
    ELSIF v_op = 'transition' THEN
        v_made := storekit.made_moves(v_table, v_columns[1], v_rows);
        -- A declared move from a state to itself changes no column, and is a version and an event all the same.
        PERFORM set_config('storekit.asked', 'on', true);
        EXECUTE format('SELECT storekit.%I(''update'', $1, $2, $3, $4)', 'write_' || v_table.entity)
        INTO v_done USING v_columns, v_refs,
            to_jsonb(ARRAY(SELECT r FROM jsonb_array_elements(v_rows) AS r WHERE NOT v_made ? (r ->> 'ref_id'))),
            ARRAY(SELECT id FROM unnest(v_ids) AS id WHERE NOT v_made ? id);
        PERFORM set_config('storekit.asked', '', true);
        v_done := v_made || v_done;
    ELSE
        EXECUTE format('SELECT storekit.%I($1, $2, $3, $4, $5)', 'write_' || v_table.entity)
        INTO v_done USING v_op, v_columns, v_refs, v_rows, v_ids;
    END IF;

    IF NOT v_done ?& v_ids THEN
        v_refused := storekit.first_refused(v_table.entity, v_op, v_rows, ARRAY(SELECT jsonb_object_keys(v_done)));
        IF v_op = 'check' AND v_refused IS NULL THEN
            RETURN '[]';  -- the rows are as expected, and nothing was written
        END IF;
        PERFORM storekit.refuse_row(v_table.entity, coalesce(v_refused, '{}'));
    END IF;
    -- In the order of the request, not of the locks: a caller that replays the write matches its rows by their
    -- position.
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_array(v_table.entity, r.item -> 'ref_id', v_done -> (r.item ->> 'ref_id'))
                   ORDER BY r.n), '[]')
        FROM jsonb_array_elements(v_rows) WITH ORDINALITY AS r(item, n));
END
$$;

-- Return the references of the tables of a circle, as SET CONSTRAINTS takes them. A transaction of the user may have
-- deferred others, which must not be checked before its end.
CREATE FUNCTION storekit.circle_keys(p_ops jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, storekit, pg_temp AS $$
    SELECT string_agg(format('%I.%I', n.nspname, k.conname), ', ')
    FROM (SELECT DISTINCT op ->> 'entity' AS name FROM jsonb_array_elements(p_ops) AS op) AS o
    CROSS JOIN LATERAL storekit.find_managed(o.name) AS m
    JOIN pg_namespace AS n ON n.nspname = m.schema_name
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = m.table_name
    JOIN pg_constraint AS k ON k.conrelid = c.oid AND k.contype = 'f' AND k.condeferrable;
$$;

-- Commit a write: claim it, set its parts to committed, lock and change its rows, and store the result for replays. An
-- operation may have a `reason`, which its events get in place of that of the transaction, and the `places` of its rows
-- in the caller's list, which a replay returns: the caller then knows which row belongs to which of its records. An
-- operation `check` writes nothing, so it has no places.
-- This is one transaction, so parts, rows and events become visible together or not at all.
CREATE FUNCTION storekit.commit_v1(
    p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea, p_parts jsonb, p_ops jsonb,
    p_on_behalf_of text DEFAULT NULL, p_context jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off
SET lock_timeout = '5s' AS $$
DECLARE
    v_parts   jsonb := coalesce(p_parts, '[]');
    v_outcome jsonb;
    v_rows    jsonb := '[]';
    v_places  jsonb := '[]';
    v_op      jsonb;
    v_keys    text;
    v_freed   jsonb;
    v_reason  text := coalesce(current_setting('storekit.reason', true), '');
    v_set     text;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    PERFORM storekit.attribute(p_on_behalf_of, p_context);
    v_outcome := storekit.claim(p_tenant, p_actor, p_write_id, p_key, p_fingerprint, v_parts <> '[]');
    IF v_outcome IS NOT NULL THEN
        RETURN v_outcome;
    END IF;
    v_set := set_config('storekit.write_id', p_write_id::text, true);
    PERFORM storekit.commit_parts(p_tenant, p_write_id, v_parts, p_ops);
    PERFORM storekit.lock_rows(p_ops);
    IF p_ops -> 0 ? 'exchange' THEN
        v_freed := storekit.begin_exchange(p_ops);
    END IF;
    IF p_ops -> 0 ? 'circle' THEN
        v_keys := storekit.circle_keys(p_ops);
    END IF;
    IF v_keys IS NOT NULL THEN
        EXECUTE concat('SET CONSTRAINTS ', v_keys, ' DEFERRED');
    END IF;
    FOR v_op IN SELECT op FROM jsonb_array_elements(p_ops) AS op LOOP
        IF v_keys IS NOT NULL AND v_freed IS NULL AND v_op ->> 'op' = 'delete' THEN
            EXECUTE concat('SET CONSTRAINTS ', v_keys, ' IMMEDIATE');  -- a delete reports its violations itself
            v_keys := NULL;
        END IF;
        IF v_op ->> 'reason' <> '' THEN
            v_set := set_config('storekit.reason', v_op ->> 'reason', true);
        END IF;
        v_rows := v_rows || storekit.write_rows(v_op);
        v_places := v_places || coalesce(v_op -> 'places', '[]');
        IF v_op ->> 'reason' <> '' THEN
            v_set := set_config('storekit.reason', v_reason, true);  -- the other was of this operation only
        END IF;
    END LOOP;
    IF v_freed IS NOT NULL THEN
        PERFORM storekit.end_exchange(p_write_id, p_ops, v_freed);
    END IF;
    IF v_keys IS NOT NULL THEN
        EXECUTE concat('SET CONSTRAINTS ', v_keys, ' IMMEDIATE');
    END IF;
    UPDATE storekit.write AS w SET result = jsonb_build_object('rows', v_rows)
        || CASE WHEN v_places = '[]' THEN '{}' ELSE jsonb_build_object('places', v_places) END
    WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id;
    -- Events of SQL that the caller runs after this call, in the same transaction, must not carry this write's id.
    v_set := set_config('storekit.write_id', '', true);
    RETURN jsonb_build_object('outcome', 'committed', 'now', storekit.now(), 'rows', v_rows);
END
$$;

-- Settle a write whose outcome the caller does not know, because the connection broke: after this call the write is
-- committed or can never be. If its commit is still running, the INSERT or the UPDATE waits for the row lock. If its
-- row is absent, an aborted row is inserted, so that a commit which arrives later finds it and is lost. If the row is
-- absent and the id is more than a day old, the write may have been committed and deleted since: its outcome is
-- unknown.
CREATE FUNCTION storekit.abandon_v1(p_tenant uuid, p_actor text, p_write_id uuid) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off
SET lock_timeout = '5s' AS $$
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

-- Return the column that holds the state of a table, or raise an error if it has no state machine.
CREATE FUNCTION storekit.require_state_field(p_entity text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_table storekit.managed := storekit.find_writable(p_entity);
    v_field text             := storekit.state_field(v_table.entity);
BEGIN
    IF v_field IS NULL THEN
        RAISE EXCEPTION 'table % has no state machine', v_table.entity USING ERRCODE = 'SK400',
            HINT = 'declare it in the class: Annotated[Status, moves({...})]';
    END IF;
    RETURN v_field;
END
$$;

-- Change the state of one row.
CREATE FUNCTION storekit.transition_v1(
    p_tenant uuid, p_actor text, p_write_id uuid, p_entity text, p_ref_id text, p_to text,
    p_reason text, p_expected_version bigint, p_on_behalf_of text DEFAULT NULL, p_context jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off
SET lock_timeout = '5s' AS $$
DECLARE
    v_field text;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    v_field := storekit.require_state_field(p_entity);
    RETURN storekit.commit_v1(p_tenant, p_actor, p_write_id, NULL, NULL, NULL, jsonb_build_array(jsonb_build_object(
        'entity', p_entity, 'op', 'transition', 'columns', ARRAY[v_field], 'refs', '{}'::text[], 'reason', p_reason,
        'rows', jsonb_build_array(jsonb_build_object(
            'ref_id', p_ref_id, v_field, p_to, 'expected_version', p_expected_version)))), p_on_behalf_of, p_context);
END
$$;

GRANT EXECUTE ON FUNCTION
    storekit.commit_v1(uuid, text, uuid, text, bytea, jsonb, jsonb, text, jsonb),
    storekit.abandon_v1(uuid, text, uuid),
    storekit.transition_v1(uuid, text, uuid, text, text, text, text, bigint, text, jsonb)
TO storekit_app;
