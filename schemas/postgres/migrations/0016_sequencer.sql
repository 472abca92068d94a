-- The sequencer moves events whose transaction has committed from event_inbox to domain_event. There each event has a
-- position without gaps, and a hash that also covers the event before it of the same tenant.
--
-- Contract of domain_event:
--   * `pos` numbers all events 1, 2, 3 ... in the order in which the sequencer found them committed. A reader that has
--     read all events up to a position has missed none. Events of one row are in the order of its versions.
--   * `seq` numbers the events of a tenant in the same way.
--   * `sequenced_on` is the time of the move. It never decreases with `pos`.
--   * `occurred_on` is the start of the transaction of the change, so it may decrease. event_head.complete_through says
--     up to which `occurred_on` no further event can appear.
--   * Nothing is updated or deleted, except that before, after, reason, context and salt may become NULL. Old events leave
--     the table with their whole partition, the oldest first.

-- The real time, which goes on within a transaction. Only for when events were moved and what is complete: leases and
-- expiries use storekit.now().
-- storekit: allow clock: the move happens now, and not at the start of the transaction
CREATE FUNCTION storekit.wall_clock() RETURNS timestamptz LANGUAGE sql VOLATILE
RETURN pg_catalog.clock_timestamp();

-- What is hashed ------------------------------------------------------------------------------------------
--
-- Text in UTF-8, one line for each value: its name, its length in bytes, and the value; or its name and `-` if it is
-- NULL. With the length, no value can be mistaken for several lines.
--
--   digest = SHA-256('storekit values 1' || LF || 'salt <length> <hex>' || lines of before, after, reason, context)
--   head   = lines of tenant_id, seq, event_id, type, entity, ref_id, version, occurred_on, sequenced_on, actor,
--            on_behalf_of, login, write_id, parts, digest
--   hash   = SHA-256('storekit event 1' || LF || prev_hash || SHA-256(head)); the first prev_hash is 32 zero bytes
--
-- The hash covers no value itself, only a digest of the values with a random salt. If the values and the salt are erased,
-- every hash can still be verified, and nobody can find out a value by trying. JSON is hashed as the stored text.
-- storekit/model/values/event_hash.py computes the same.

-- With ::text Postgres puts the expression in place of each call, which takes 0.1 us instead of 1 us: without it, || with a
-- number is not immutable.
CREATE FUNCTION storekit.hash_line(p_name text, p_value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_name || coalesce(' ' || octet_length(p_value)::text || ' ' || p_value, ' -') || E'\n';

-- A time in UTC with microseconds, independent of the settings of the session.
CREATE FUNCTION storekit.hash_time(p_time timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_char(p_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

CREATE FUNCTION storekit.chain_link(p_state bytea, p_first bytea, p_head bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256('\x73746f72656b6974206576656e7420310a'::bytea || coalesce(p_state, p_first) || p_head);

-- The hashes of a tenant's next events: an aggregate over the hash before the first of them, and the hashes of the heads.
CREATE AGGREGATE storekit.chain(bytea, bytea) (SFUNC = storekit.chain_link, STYPE = bytea);

-- What is complete ----------------------------------------------------------------------------------------

-- Return the oldest transaction of this database that may still record an event, and NULLs if there is none. Any session
-- counts, also one that has not written yet: its events will have the start of its transaction as occurred_on. Autovacuum
-- writes no events. `unknown` says why a start cannot be seen.
--
-- A session that executes a query counts from the start of the query. One query can contain several transactions
-- ('COMMIT; BEGIN; ...', COMMIT AND CHAIN), and all of them begin at the time when the query arrived. Between two of them
-- the session shows no transaction.
CREATE FUNCTION storekit.oldest_transaction(
    OUT since timestamptz, OUT pid integer, OUT role text, OUT application text, OUT state text, OUT unknown text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_stat_clear_snapshot();
    -- Sessions first, prepared transactions second: one that is being prepared leaves the sessions only when it is among
    -- the prepared ones.
    SELECT least(a.xact_start, CASE WHEN a.state IN ('active', 'fastpath function call') THEN a.query_start END),
           a.pid, a.usename, a.application_name, a.state
    INTO since, pid, role, application, state
    FROM pg_stat_activity AS a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type <> 'autovacuum worker'
    ORDER BY 1 LIMIT 1;
    IF since IS NULL THEN
        pid := NULL; role := NULL; application := NULL; state := NULL;
    END IF;
    unknown := CASE
        WHEN NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN
            'the role ' || current_user || ' is not a member of pg_read_all_stats'
        WHEN EXISTS (
            SELECT FROM pg_stat_activity AS a
            WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.state = 'disabled') THEN
            'a session has track_activities off'
        ELSE (
            SELECT format('the transaction %s, prepared by %s, has not ended', quote_literal(p.gid), p.owner)
            FROM pg_prepared_xacts AS p WHERE p.database = current_database() ORDER BY p.prepared LIMIT 1)
    END;
END
$$;

-- The move ------------------------------------------------------------------------------------------------

-- Move committed events, at most `p_limit`, and publish what is complete. One transaction of few statements. It must run
-- in READ COMMITTED: the move takes its snapshot after the head is locked, so it sees what the former holder of the lock
-- has moved. A row is found because it is in the inbox, not by a position that it must follow: if a transaction commits
-- late, its events are moved later and none is passed over.
--
-- complete_through: first the time and the oldest open transaction are read, then the move takes its snapshot. A
-- transaction that began before the bound was either open at the first step, and then limits the bound, or it had ended,
-- and then the move sees its events. A session takes the start of its transaction shortly before it shows it, hence the
-- margin. If the move left rows in the inbox, or a start is unknown, the bound stays.
CREATE FUNCTION storekit.sequence_v1(p_limit integer, p_margin interval DEFAULT '1 second') RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off AS $$
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
$$;

-- Create the next partition. ATTACH locks the log only against other such changes, so nobody who reads waits.
CREATE FUNCTION storekit.add_partition_v1() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off
SET lock_timeout = '2s' AS $$
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
$$;

-- Who does the work ---------------------------------------------------------------------------------------

-- Of several processes that can do the same work, one leads until its lease expires. A lease is a row and not a lock: a
-- lock would keep a transaction or a session open, which a pooler does not allow and which holds complete_through back.
-- Each new leader gets the next term. A lease only saves work: the move is right whoever makes it, and however many do.
CREATE TABLE storekit.lease (
    name      text        PRIMARY KEY,
    term      bigint      NOT NULL,
    holder    text        NOT NULL,
    until     timestamptz NOT NULL,
    heartbeat timestamptz NOT NULL
);

-- Take or renew a lease. Returns the term, or NULL if another process leads.
CREATE FUNCTION storekit.lead_v1(p_name text, p_holder text, p_for interval) RETURNS bigint
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off AS $$
    INSERT INTO storekit.lease AS l (name, term, holder, until, heartbeat)
    VALUES (p_name, 1, p_holder, storekit.now() + p_for, storekit.now())
    ON CONFLICT (name) DO UPDATE SET
        term = l.term + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END,
        holder = excluded.holder, until = excluded.until, heartbeat = excluded.heartbeat
    -- A lease that ends later than one that begins now is from before the clock was set back.
    WHERE l.holder = excluded.holder OR l.until < storekit.now() OR l.until > excluded.until
    RETURNING term;
$$;

-- End a lease, so that another process need not wait for it.
CREATE FUNCTION storekit.resign_v1(p_name text, p_holder text) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off AS $$
    UPDATE storekit.lease AS l SET until = storekit.now() - interval '1 microsecond'
    WHERE l.name = p_name AND l.holder = p_holder;
$$;

-- One cycle of the sequencer: renew the lease, and move events if this process leads.
CREATE FUNCTION storekit.relay_v1(p_holder text, p_lease interval, p_limit integer) RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off AS $$
DECLARE
    v_term bigint := storekit.lead_v1('sequencer', p_holder, p_lease);
BEGIN
    IF v_term IS NULL THEN
        RETURN '{"term": null}';
    END IF;
    RETURN jsonb_build_object('term', v_term) || storekit.sequence_v1(p_limit);
END
$$;

-- How it is -----------------------------------------------------------------------------------------------

-- What `storekit doctor` shows of the sequencer. Reads little, however many events there are.
CREATE FUNCTION storekit.relay_health_v1() RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off AS $$
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
$$;

GRANT SELECT, DELETE ON storekit.event_inbox TO storekit_worker;
GRANT INSERT ON storekit.domain_event TO storekit_worker;
GRANT INSERT, UPDATE ON storekit.tenant_head TO storekit_worker;
GRANT UPDATE ON storekit.event_head TO storekit_worker;
GRANT SELECT, INSERT, UPDATE ON storekit.lease TO storekit_worker;
GRANT SELECT ON storekit.event_head TO storekit_app, storekit_auditor;
GRANT EXECUTE ON FUNCTION
    storekit.wall_clock(), storekit.hash_line(text, text), storekit.hash_time(timestamptz),
    storekit.chain_link(bytea, bytea, bytea), storekit.chain(bytea, bytea), storekit.oldest_transaction(),
    storekit.sequence_v1(integer, interval), storekit.add_partition_v1(), storekit.lead_v1(text, text, interval),
    storekit.resign_v1(text, text), storekit.relay_v1(text, interval, integer), storekit.relay_health_v1()
TO storekit_worker;
