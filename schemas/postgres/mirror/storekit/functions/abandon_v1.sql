-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.abandon_v1(p_tenant uuid, p_actor text, p_write_id uuid)
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
$function$;

ALTER FUNCTION storekit.abandon_v1(uuid,text,uuid) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.abandon_v1(uuid,text,uuid) TO storekit_app;
