-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.relay_health_v1()
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
BEGIN
    RETURN (SELECT jsonb_build_object(
        'now', n.now, 'pos', h.pos, 'sequenced_on', h.sequenced_on, 'complete_through', h.complete_through,
        'room', h.room_until - h.pos - 1, 'partition_size', h.partition_size,
        'missing', NOT EXISTS (
            SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'storekit.domain_event'::regclass
              AND pg_get_expr(c.relpartbound, c.oid) LIKE format('%% TO (''%s'')', h.room_until)),
        'term', l.term, 'holder', l.holder, 'heartbeat', l.heartbeat, 'until', l.until,
        'waiting_since', (SELECT i.occurred_on FROM storekit.event_inbox AS i ORDER BY i.id LIMIT 1),
        'oldest', to_jsonb(o))
    FROM storekit.wall_clock() AS n(now)
    CROSS JOIN storekit.event_head AS h
    CROSS JOIN storekit.oldest_transaction() AS o
    LEFT JOIN storekit.lease AS l ON l.name = 'sequencer');
END
$function$;

ALTER FUNCTION storekit.relay_health_v1() OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.relay_health_v1() TO storekit_worker;
