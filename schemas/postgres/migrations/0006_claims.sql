-- Who owns a write and an idempotency key: the rule of claims, leases and keys, which is model-checked.

-- The nil tenant's rows are everybody's to read and the admin's to write: whose login may become the owner.
CREATE FUNCTION storekit.enter(p_tenant uuid, p_actor text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    IF p_tenant IS NULL OR coalesce(p_actor, '') = '' THEN
        RAISE EXCEPTION 'no tenant or no actor was named' USING ERRCODE = 'SK400';
    ELSIF storekit.current_tenant() <> p_tenant THEN
        RAISE EXCEPTION 'this transaction belongs to another tenant' USING ERRCODE = 'SK004';
    ELSIF p_tenant = storekit.nil() AND NOT pg_has_role(session_user, 'storekit_owner', 'MEMBER') THEN
        RAISE EXCEPTION 'global records are written by the admin alone' USING ERRCODE = 'SK403';
    END IF;
    PERFORM set_config('storekit.tenant', p_tenant::text, true), set_config('storekit.actor', p_actor, true);
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
