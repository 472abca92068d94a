-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.renew_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_lease interval)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET standard_conforming_strings TO 'on'
 SET row_security TO 'on'
 SET enable_seqscan TO 'off'
 SET enable_sort TO 'on'
 SET plan_cache_mode TO 'auto'
 SET jit TO 'off'
 SET lock_timeout TO '5s'
AS $function$
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
$function$;

ALTER FUNCTION storekit.renew_v1(uuid,text,uuid,interval) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.renew_v1(uuid,text,uuid,interval) TO storekit_app;
