-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.lead_v1(p_name text, p_holder text, p_for interval)
 RETURNS bigint
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
    INSERT INTO storekit.lease AS l (name, term, holder, until, heartbeat)
    VALUES (p_name, 1, p_holder, storekit.now() + p_for, storekit.now())
    ON CONFLICT (name) DO UPDATE SET
        term = l.term + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END,
        holder = excluded.holder, until = excluded.until, heartbeat = excluded.heartbeat
    -- A lease that ends later than one that begins now is from before the clock was set back.
    WHERE l.holder = excluded.holder OR l.until < storekit.now() OR l.until > excluded.until
    RETURNING term;
$function$;

ALTER FUNCTION storekit.lead_v1(text,text,interval) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.lead_v1(text,text,interval) TO storekit_worker;
