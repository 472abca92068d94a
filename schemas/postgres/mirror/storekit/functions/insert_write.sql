-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.insert_write(p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea, p_lease interval)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
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
$function$;

ALTER FUNCTION storekit.insert_write(uuid,text,uuid,text,bytea,interval) OWNER TO storekit_owner;
