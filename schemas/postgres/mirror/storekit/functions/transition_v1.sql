-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.transition_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_entity text, p_ref_id text, p_to text, p_reason text, p_expected_version bigint, p_on_behalf_of text DEFAULT NULL::text, p_context jsonb DEFAULT NULL::jsonb)
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
    v_field text;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    v_field := storekit.require_state_field(p_entity);
    RETURN storekit.commit_v1(p_tenant, p_actor, p_write_id, NULL, NULL, NULL, jsonb_build_array(jsonb_build_object(
        'entity', p_entity, 'op', 'transition', 'columns', ARRAY[v_field], 'refs', '{}'::text[], 'reason', p_reason,
        'rows', jsonb_build_array(jsonb_build_object(
            'ref_id', p_ref_id, v_field, p_to, 'expected_version', p_expected_version)))), p_on_behalf_of, p_context);
END
$function$;

ALTER FUNCTION storekit.transition_v1(uuid,text,uuid,text,text,text,text,bigint,text,jsonb) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.transition_v1(uuid,text,uuid,text,text,text,text,bigint,text,jsonb) TO storekit_app;
