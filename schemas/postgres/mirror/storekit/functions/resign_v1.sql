-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.resign_v1(p_name text, p_holder text)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET standard_conforming_strings TO 'on'
 SET row_security TO 'on'
 SET enable_seqscan TO 'off'
 SET enable_sort TO 'on'
 SET plan_cache_mode TO 'auto'
 SET jit TO 'off'
AS $function$
    UPDATE storekit.lease AS l SET until = storekit.now() - interval '1 microsecond'
    WHERE l.name = p_name AND l.holder = p_holder;
$function$;

ALTER FUNCTION storekit.resign_v1(text,text) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.resign_v1(text,text) TO storekit_worker;
