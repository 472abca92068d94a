-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.free_key(p_tenant uuid, p_write_id uuid, p_key text, p_fingerprint bytea)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
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
$function$;

ALTER FUNCTION storekit.free_key(uuid,uuid,text,bytea) OWNER TO storekit_owner;
