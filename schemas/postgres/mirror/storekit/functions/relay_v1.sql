-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.relay_v1(p_holder text, p_lease interval, p_limit integer)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET standard_conforming_strings TO 'on'
 SET row_security TO 'on'
 SET enable_seqscan TO 'off'
 SET enable_sort TO 'on'
 SET plan_cache_mode TO 'auto'
 SET jit TO 'off'
AS $function$
DECLARE
    v_term bigint := storekit.lead_v1('sequencer', p_holder, p_lease);
BEGIN
    IF v_term IS NULL THEN
        RETURN '{"term": null}';
    END IF;
    RETURN jsonb_build_object('term', v_term) || storekit.sequence_v1(p_limit);
END
$function$;

ALTER FUNCTION storekit.relay_v1(text,interval,integer) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.relay_v1(text,interval,integer) TO storekit_worker;
