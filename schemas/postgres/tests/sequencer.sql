-- The sequencer: it moves events, numbers them and chains their hashes. The tests in Python commit transactions.
SELECT plan(46);

SELECT function_is('storekit.wall_clock()', 'timestamp with time zone', 'invoker volatile', 'bound', 'worker');
SELECT is(storekit.wall_clock() > storekit.now(), true, 'storekit.wall_clock() goes on within a transaction');
SELECT function_is('storekit.hash_line(p_name text, p_value text)', 'text', 'invoker immutable', 'bound', 'worker');
SELECT is(storekit.hash_line('actor', E'\u00e9\nb'), E'actor 4 \u00e9\nb\n', 'storekit.hash_line() gives the length in bytes');
SELECT is(storekit.hash_line('reason', NULL), E'reason -\n', 'NULL differs from an empty text');
SELECT is(storekit.hash_line('reason', ''), E'reason 0 \n', 'an empty text differs from NULL');
SELECT function_is('storekit.hash_time(p_time timestamp with time zone)', 'text', 'invoker immutable', 'bound', 'worker');
SELECT is(storekit.hash_time('2026-02-03 04:05:06.7+09'), '2026-02-02T19:05:06.700000Z', 'storekit.hash_time() is in UTC');
SELECT function_is('storekit.chain_link(p_state bytea, p_first bytea, p_head bytea)', 'bytea', 'invoker immutable', 'bound',
    'worker');
SELECT is(storekit.chain_link(NULL, '\x01', '\x02'), sha256('\x73746f72656b6974206576656e7420310a0102'), 'storekit.chain_link() begins');
SELECT is(storekit.chain_link('\x03', '\x01', '\x02'), sha256('\x73746f72656b6974206576656e7420310a0302'), 'and goes on');
SELECT function_is('storekit.chain(bytea, bytea)', 'bytea', 'invoker immutable', NULL, 'worker');
SELECT is((SELECT storekit.chain('\x01', h ORDER BY h) FROM unnest('{"\\x02","\\x03"}'::bytea[]) AS h),
    storekit.chain_link(storekit.chain_link(NULL, '\x01', '\x02'), '\x01', '\x03'), 'storekit.chain() chains in order');

-- sequence_v1: three events of two tenants, and one without a tenant's rows
SELECT function_is('storekit.sequence_v1(p_limit integer, p_margin interval DEFAULT ''00:00:01''::interval)', 'jsonb',
    'invoker volatile', 'storekit path, pinned', 'worker');
SELECT be('app', 'acme');
SELECT set_config('storekit.context', '{"ip": "10.0.0.1"}', true), set_config('storekit.on_behalf_of', 'user:jane', true);
INSERT INTO activity_runs (activity, agent) VALUES ('a', 'scout');
INSERT INTO activity_runs (activity, agent) VALUES ('b', 'scout');
SELECT be('app');
SELECT save_call('call');
SELECT be('worker');
SELECT is(storekit.sequence_v1(2) - 'partition_size', '{"moved": 2, "more": true, "room": 9999998, "pos": 2}',
    'it moves as many events as it may');
SELECT is(storekit.sequence_v1(100) - 'partition_size', '{"moved": 2, "more": false, "room": 9999996, "pos": 4}', 'and the rest');
SELECT is(storekit.sequence_v1(100) ->> 'moved', '0', 'then none is left');
SELECT is_empty('SELECT FROM storekit.event_inbox', 'the inbox is empty');
SELECT results_eq('SELECT pos, seq FROM storekit.domain_event ORDER BY pos', 'SELECT n, n FROM generate_series(1::bigint, 4) AS n',
    'positions have no gaps');
SELECT results_eq('SELECT on_behalf_of, context::text, login = session_user FROM storekit.domain_event WHERE pos = 1',
    $$VALUES ('user:jane', '{"ip": "10.0.0.1"}', true)$$, 'an event has its origin');
SELECT results_eq($$SELECT d.pos, d.prev_hash = coalesce(lag(d.hash) OVER (ORDER BY d.pos), decode(repeat('00', 32), 'hex'))
    FROM storekit.domain_event AS d ORDER BY d.pos$$, 'SELECT n, true FROM generate_series(1::bigint, 4) AS n',
    'each event has the hash before it');
SELECT results_eq('SELECT h.seq, h.hash FROM storekit.tenant_head AS h', 'SELECT seq, hash FROM storekit.domain_event WHERE pos = 4',
    'the head of the tenant is its last event');
SELECT is((SELECT parts ->> 'payload' FROM storekit.domain_event WHERE entity = 'tool_calls'), encode(sha256('hi'), 'hex'),
    'an event has the hash of each part that the change refers to');
SELECT is((SELECT length(salt) FROM storekit.domain_event WHERE pos = 1), 16, 'each event has a salt');
RESET ROLE;
UPDATE storekit.event_head SET room_until = pos + 2;
SELECT be('app', 'acme');
INSERT INTO activity_runs (activity, agent) SELECT 'c', 'scout' FROM generate_series(1, 3);
SELECT be('worker');
SELECT is(storekit.sequence_v1(100) - '{partition_size,pos}'::text[], '{"moved": 1, "more": true, "room": 0}',
    'it moves no more than the partitions have room for');
SELECT is(storekit.sequence_v1(100) - '{partition_size,pos}'::text[], '{"moved": 0, "more": true, "room": 0}',
    'without room it moves nothing, and fails nothing');

-- add_partition_v1
SELECT function_is('storekit.add_partition_v1()', 'bigint', 'definer volatile', 'storekit path, pinned, lock_timeout=2s', 'worker');
RESET ROLE;
UPDATE storekit.event_head SET room_until = 10000001, partition_size = 100, pos = 10000000;
SELECT be('worker');
SELECT is(storekit.add_partition_v1(), 10000101::bigint, 'it creates the next partition');
SELECT is(storekit.add_partition_v1(), 10000101::bigint, 'but only one ahead');
SELECT is((storekit.sequence_v1(100) ->> 'moved')::int, 2, 'which takes events');
SELECT is((SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = 'storekit.domain_event_10000001'::regclass), true,
    'and has row-level security');
SELECT table_privs_are('storekit', 'domain_event_10000001', 'storekit_' || name, '{}'::text[])
    FROM unnest('{app,worker}'::text[]) AS name;

-- Leases
SELECT function_is('storekit.lead_v1(p_name text, p_holder text, p_for interval)', 'bigint', 'invoker volatile', 'storekit path, pinned',
    'worker');
SELECT results_eq($$SELECT storekit.lead_v1('x', 'one', '1 minute'), storekit.lead_v1('x', 'two', '1 minute'),
    storekit.lead_v1('x', 'one', '1 minute')$$, 'VALUES (1::bigint, NULL::bigint, 1::bigint)', 'one process leads, until its lease expires');
SELECT function_is('storekit.resign_v1(p_name text, p_holder text)', 'void', 'invoker volatile', 'storekit path, pinned', 'worker');
SELECT storekit.resign_v1('x', 'two');
SELECT is(storekit.lead_v1('x', 'two', '1 minute'), NULL, 'only the holder can end a lease');
SELECT storekit.resign_v1('x', 'one');
SELECT is(storekit.lead_v1('x', 'two', '1 minute'), 2::bigint, 'the next leader has the next term');

UPDATE storekit.lease SET until = until + interval '1 day';
SELECT is(storekit.lead_v1('x', 'three', '1 minute'), 3::bigint, 'a lease from before the clock was set back has ended');

-- relay_v1, relay_health_v1 and oldest_transaction
SELECT function_is('storekit.relay_v1(p_holder text, p_lease interval, p_limit integer)', 'jsonb', 'invoker volatile', 'storekit path, pinned',
    'worker');
SELECT is(storekit.relay_v1('one', '1 minute', 10) -> 'term', '1', 'storekit.relay_v1() leads');
SELECT is(storekit.relay_v1('two', '1 minute', 10), '{"term": null}', 'or says that another process does');
SELECT function_is('storekit.relay_health_v1()', 'jsonb', 'invoker volatile', 'storekit path, pinned', 'worker');
SELECT is(storekit.relay_health_v1() ->> 'holder', 'one', 'storekit.relay_health_v1() names the leader');
SELECT function_is('storekit.oldest_transaction(OUT since timestamp with time zone, OUT pid integer, OUT role text, '
    'OUT application text, OUT state text, OUT unknown text)', 'record', 'invoker volatile', 'catalog path', 'worker');
SELECT is((storekit.oldest_transaction()).unknown, NULL, 'storekit.oldest_transaction() sees all sessions');
SELECT * FROM finish();
