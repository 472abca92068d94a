-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.add_partition_v1()
 RETURNS bigint
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
 SET lock_timeout TO '2s'
AS $function$
DECLARE
    v_head storekit.event_head;
    v_name text;
BEGIN
    SELECT * INTO v_head FROM storekit.event_head FOR UPDATE;
    IF v_head.room_until - v_head.pos > v_head.partition_size THEN
        RETURN v_head.room_until;  -- another process was faster
    END IF;
    v_name := 'domain_event_' || v_head.room_until;
    EXECUTE format('CREATE TABLE storekit.%I (LIKE storekit.domain_event)', v_name);
    EXECUTE format('ALTER TABLE storekit.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_name);
    EXECUTE format('ALTER TABLE storekit.%I ALTER COLUMN tenant_id SET STATISTICS 0', v_name);
    EXECUTE format('ALTER TABLE storekit.domain_event ATTACH PARTITION storekit.%I FOR VALUES FROM (%s) TO (%s)',
        v_name, v_head.room_until, v_head.room_until + v_head.partition_size);
    UPDATE storekit.event_head SET room_until = room_until + partition_size;
    RETURN v_head.room_until + v_head.partition_size;
END
$function$;

ALTER FUNCTION storekit.add_partition_v1() OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.add_partition_v1() TO storekit_worker;
