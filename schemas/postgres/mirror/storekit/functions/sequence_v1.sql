-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.sequence_v1(p_limit integer, p_margin interval DEFAULT '00:00:01'::interval)
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
    v_read  timestamptz := storekit.wall_clock();
    v_old   record;
    v_head  storekit.event_head;
    v_room  bigint;
    v_moved bigint;
    v_on    timestamptz;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'sequence_v1 must run in READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'SK400';
    END IF;
    v_old := storekit.oldest_transaction();
    SELECT * INTO v_head FROM storekit.event_head FOR UPDATE;
    v_room := least(p_limit, v_head.room_until - v_head.pos - 1);
    -- Later than all events before, so that completeness by sequenced_on is exact.
    v_on := greatest(storekit.wall_clock(), v_head.sequenced_on + interval '1 microsecond');

    WITH moved AS (
        DELETE FROM storekit.event_inbox AS i
        WHERE i.id IN (SELECT n.id FROM storekit.event_inbox AS n ORDER BY n.id LIMIT v_room)
        RETURNING i.*
    ), numbered AS (
        SELECT m.*, v_head.pos + row_number() OVER (ORDER BY m.id) AS pos,
               coalesce(h.seq, 0) + row_number() OVER (PARTITION BY m.tenant_id ORDER BY m.id) AS seq,
               coalesce(h.hash, decode(repeat('00', 32), 'hex')) AS first, uuid_send(gen_random_uuid()) AS salt,
               m.before::json AS old, m.after::json AS new, m.context::json AS about,
               (SELECT coalesce(json_object_agg(f.field, encode(p.sha256, 'hex') ORDER BY f.field), '{}')
                FROM storekit.field AS f
                LEFT JOIN storekit.part AS p
                  ON p.tenant_id = m.tenant_id AND p.part_id = (m.after ->> (f.field || '_ref'))::uuid
                WHERE f.table_name = m.entity AND f.kind <> 'column'
                  AND m.after ->> (f.field || '_ref') ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') AS parts
        FROM moved AS m LEFT JOIN storekit.tenant_head AS h ON h.tenant_id = m.tenant_id
    ), digested AS MATERIALIZED (
        SELECT n.*, sha256(convert_to(concat(E'storekit values 1\n',
            storekit.hash_line('salt', encode(n.salt, 'hex')), storekit.hash_line('before', n.old::text),
            storekit.hash_line('after', n.new::text), storekit.hash_line('reason', n.reason),
            storekit.hash_line('context', n.about::text)), 'UTF8')) AS digest
        FROM numbered AS n
    ), chained AS (
        SELECT d.*, storekit.chain(d.first, sha256(convert_to(concat(
            storekit.hash_line('tenant_id', d.tenant_id::text), storekit.hash_line('seq', d.seq::text),
            storekit.hash_line('event_id', d.event_id::text), storekit.hash_line('type', d.type),
            storekit.hash_line('entity', d.entity), storekit.hash_line('ref_id', d.ref_id),
            storekit.hash_line('version', d.version::text),
            storekit.hash_line('occurred_on', storekit.hash_time(d.occurred_on)),
            storekit.hash_line('sequenced_on', storekit.hash_time(v_on)), storekit.hash_line('actor', d.actor),
            storekit.hash_line('on_behalf_of', d.on_behalf_of), storekit.hash_line('login', d.login),
            storekit.hash_line('write_id', d.write_id::text), storekit.hash_line('parts', d.parts::text),
            storekit.hash_line('digest', encode(d.digest, 'hex'))), 'UTF8')))
            OVER (PARTITION BY d.tenant_id ORDER BY d.id) AS hash
        FROM digested AS d
    ), inserted AS (
        INSERT INTO storekit.domain_event (
            pos, tenant_id, seq, id, event_id, entity, ref_id, version, type, before, after, actor, on_behalf_of, login,
            write_id, occurred_on, sequenced_on, reason, context, parts, salt, digest, prev_hash, hash)
        SELECT c.pos, c.tenant_id, c.seq, c.id, c.event_id, c.entity, c.ref_id, c.version, c.type, c.old, c.new, c.actor,
               c.on_behalf_of, c.login, c.write_id, c.occurred_on, v_on, c.reason, c.about, c.parts, c.salt, c.digest,
               lag(c.hash, 1, c.first) OVER (PARTITION BY c.tenant_id ORDER BY c.id), c.hash
        FROM chained AS c
        ORDER BY c.pos
        RETURNING tenant_id, seq, hash
    ), heads AS (
        INSERT INTO storekit.tenant_head AS h (tenant_id, seq, hash)
        SELECT DISTINCT ON (i.tenant_id) i.tenant_id, i.seq, i.hash FROM inserted AS i ORDER BY i.tenant_id, i.seq DESC
        ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash
    )
    SELECT count(*) INTO v_moved FROM inserted;

    UPDATE storekit.event_head SET
        pos = pos + v_moved,
        sequenced_on = v_on,
        complete_through = CASE WHEN v_old.unknown IS NULL AND v_moved < v_room
            THEN greatest(complete_through, least(v_read, v_old.since) - greatest(p_margin, interval '1 microsecond'))
            ELSE complete_through END
    RETURNING * INTO v_head;
    IF v_moved > 0 THEN
        -- Once for each move, and never by a writer: a commit that notifies holds a lock on the whole database.
        PERFORM pg_notify('storekit_event', v_head.pos::text);
    END IF;
    RETURN jsonb_build_object('moved', v_moved, 'more', v_moved = v_room, 'room', v_head.room_until - v_head.pos - 1,
        'pos', v_head.pos, 'partition_size', v_head.partition_size);
END
$function$;

ALTER FUNCTION storekit.sequence_v1(integer,interval) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.sequence_v1(integer,interval) TO storekit_worker;
