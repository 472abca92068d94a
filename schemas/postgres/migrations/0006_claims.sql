-- Which process owns a write and an idempotency key.
--
-- The rules (docs/explanation/save.md has the protocol) were checked with a model of 16.6 million states. Each of the 27
-- variants that omit one condition broke an invariant, so every condition is required:
--   * A write is committed at most once, and a key has at most one committed write.
--   * A write that was aborted never commits. The sweep deletes its bytes, whichever process aborted it.
--   * Until the lease of a pending write expires, no other process may abort it and take its key.
--   * A row can be absent because it was never inserted, or because it was deleted long after it ended. An id that is
--     more than a day old therefore counts as lost and is never inserted. Rows are kept for 30 days and keys for 7.
-- All statements run in READ COMMITTED: each has its own snapshot and sees what was committed before it began.

-- Set the tenant and the actor of a call. A transaction has one tenant: with two, hand-written SQL in it could mix
-- their rows. Without triggers there would be no events, no checks of references and no state machines, and no function
-- may change that setting. Only a login that can SET ROLE storekit_owner may write global rows.
CREATE FUNCTION storekit.enter(p_tenant uuid, p_actor text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_set text;
BEGIN
    IF p_tenant IS NULL OR coalesce(p_actor, '') = '' THEN
        RAISE EXCEPTION 'a tenant and an actor are required' USING ERRCODE = 'SK400';
    ELSIF storekit.current_tenant() <> p_tenant THEN
        RAISE EXCEPTION 'this transaction belongs to another tenant' USING ERRCODE = 'SK004';
    ELSIF current_setting('session_replication_role') = 'replica' THEN
        RAISE EXCEPTION 'no triggers run in this session, because session_replication_role is replica' USING ERRCODE = 'SK412';
    ELSIF p_tenant = storekit.nil() AND NOT pg_has_role(session_user, 'storekit_owner', 'MEMBER') THEN
        RAISE EXCEPTION 'only the admin may write global records' USING ERRCODE = 'SK403';
    END IF;
    -- An assignment in place of PERFORM: Postgres evaluates its expression without starting a query.
    v_set := set_config('storekit.tenant', p_tenant::text, true) || set_config('storekit.actor', p_actor, true);
END
$$;

-- Set on whose behalf the actor acts and the context of the request, which events get. NULL keeps what the transaction
-- has: a unit of work sets both when it begins.
CREATE FUNCTION storekit.attribute(p_on_behalf_of text, p_context jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    IF p_on_behalf_of IS NOT NULL THEN
        PERFORM set_config('storekit.on_behalf_of', p_on_behalf_of, true);
    END IF;
    IF p_context IS NOT NULL THEN
        PERFORM set_config('storekit.context', p_context::text, true);
    END IF;
END
$$;

-- Return the outcome of a write whose row exists or whose id is too old, or NULL if the row may be inserted.
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
        WHEN v_write.state = 'aborted' THEN jsonb_build_object('outcome', 'lost')
        -- The id has the time of the caller's clock, so the caller compares its clock with `now`.
        WHEN storekit.id_time(p_write_id) < storekit.now() - interval '1 day' THEN
            jsonb_build_object('outcome', 'lost', 'now', storekit.now())
    END;
END
$$;

-- Return the outcome of a key that another write holds, or NULL if the key is free. If the lease of the other write
-- has expired, the write is aborted here, which frees the key. Only its row changes: its uploads may still be running,
-- so the sweep removes its bytes.
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
    -- Check the conditions again with the row locked: the holder may have renewed its lease or ended since the SELECT
    -- above. SKIP LOCKED: a locked row is being committed, and waiting could take as long as that transaction.
    PERFORM FROM storekit.write AS w
    WHERE w.tenant_id = p_tenant AND w.write_id = v_holder.write_id
      AND w.state = 'pending' AND w.lease_until < storekit.now()
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN storekit.held(interval '0');
    END IF;
    PERFORM storekit.abort_pending(p_tenant, v_holder.write_id, storekit.now());
    RETURN NULL;
END
$$;

-- Return the outcome of a key that is held: the caller tries again when the lease expires, or soon if that is unknown
-- (0).
CREATE FUNCTION storekit.held(p_left interval) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object('outcome', 'held', 'lease_left', extract(epoch FROM p_left)::float8);

-- Abort a pending write and its parts, if its lease expired before `p_lease_before`, or in any case if that is NULL. A
-- row that is not pending stays unchanged: an abort and a commit both lock the row, and the first one decides.
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

-- Insert the row of a write, with its key. Return NULL if it was inserted, else the outcome. ON CONFLICT DO NOTHING
-- waits for a transaction that inserts the same id or key, whose row the SELECT of free_key could not see; the next
-- round sees it. After three rounds other writers keep taking the key, so the caller should wait. `lock_timeout`
-- limits the wait for the other transaction to a second.
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

-- Set the write to committed and return NULL, or return the outcome if this call may not commit it. A commit calls it
-- before it changes any row, so a lost write changes nothing. The row stays locked until the end of the transaction: a
-- call that wants to abort the write waits and then finds it committed. A write without parts was never staged, so its
-- row is inserted here. A staged write is never inserted: if its row is absent, the sweep may have deleted its bytes.
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
        -- The lease is not checked: a commit after the lease has expired succeeds if no other process took the write
        -- over.
        UPDATE storekit.write AS w SET state = 'committed', finished_on = storekit.now()
        WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id AND w.state = 'pending';
        v_outcome := CASE WHEN NOT FOUND
            THEN coalesce(storekit.own_write(p_tenant, p_write_id), '{"outcome": "lost"}') END;
    END IF;
    RETURN v_outcome;
END
$$;
