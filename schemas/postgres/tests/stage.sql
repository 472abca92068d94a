-- Stage and renew: the durable record before the upload.
SELECT plan(34);

-- stage_v1
SELECT function_is('storekit.stage_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_key text, '
        'p_fingerprint bytea, p_lease interval, p_parts jsonb, p_targets jsonb)',
    'jsonb', 'definer volatile', 'storekit path, pinned, lock_timeout=5s', 'app');
SELECT be('app');
SELECT is(stage('w', part('contracts', 'c.pdf')), jsonb_build_object(
    'outcome', 'staged', 'now', storekit.now(), 'sign_until', storekit.now() + interval '1 minute',
    'parts', jsonb_build_object(id('c.pdf'), jsonb_build_object(
        'key', concat_ws('/', id('acme'), 'contracts', ref('c'), 'pdf', id('c.pdf')), 'expires_on', NULL))),
    'it returns keys and the last time of their signatures');
SELECT results_eq($$SELECT state::text, live, store, size, sha256, sign_until FROM storekit.part WHERE part_id = id('c.pdf')$$,
    $$VALUES ('pending', NULL::boolean, 's3', 2::bigint, sha256('hi'), storekit.now() + interval '1 minute')$$,
    'a staged part is pending, not live');
SELECT is(stage('w', part('contracts', 'c.pdf')) ->> 'outcome', 'staged', 'staging the same write again returns the same result');
SELECT is((SELECT count(*) FROM storekit.part), 1::bigint, 'staging the same write again adds no parts');
SELECT throws_ok($$SELECT storekit.stage_v1(id('acme'), 'a', id('x'), NULL, NULL, NULL, '[]', '[]')$$, 'SK400', NULL,
    'a lease is required');
SELECT throws_ok($$SELECT storekit.stage_v1(id('acme'), 'a', id('x'), NULL, NULL, '0', '[]', '[]')$$, 'SK400', NULL,
    'a lease must be positive');
SELECT throws_ok($$SELECT storekit.stage_v1(id('acme'), 'a', id('x'), NULL, NULL, '25 hours', '[]', '[]')$$, 'SK400', NULL,
    'a lease is at most a day');
SELECT throws_ok($$SELECT storekit.stage_v1(id('other'), 'a', id('x'), NULL, NULL, '1 minute', '[]', '[]')$$, 'SK004', NULL,
    'a transaction belongs to one tenant');

-- Targets: a write that cannot commit is refused before the upload.
SELECT save_call('call');
SELECT is(storekit.stage_v1(id('acme'), 'a', id('t1'), NULL, NULL, '1 minute', '[]',
    jsonb_build_array(at('call', '{"entity": "tool_calls", "expected_version": 1}'))) ->> 'outcome', 'staged',
    'a target at the expected version is accepted');
SELECT is(storekit.stage_v1(id('acme'), 'a', id('t2'), NULL, NULL, '1 minute', '[]',
    jsonb_build_array(at('call', '{"entity": "tool_calls", "expected_version": 2}'))),
    at('call', '{"outcome": "conflict", "entity": "tool_calls", "expected": 2, "found": 1}'),
    'a target at another version is a conflict');
SELECT is(storekit.stage_v1(id('acme'), 'a', id('t3'), NULL, NULL, '1 minute', '[]',
    jsonb_build_array(at('none', '{"entity": "tool_calls"}'))),
    at('none', '{"outcome": "missing", "entity": "tool_calls"}'), 'a missing target is not found');
SELECT is((SELECT count(*) FROM storekit.write WHERE write_id IN (id('t2'), id('t3'))), 0::bigint,
    'a refused write inserts no row');

-- A key
SELECT storekit.commit_v1(id('acme'), 'a', id('k1'), 'key', 'same', '[]', jsonb_build_array(run('run')));
SELECT is(storekit.stage_v1(id('acme'), 'a', id('k2'), 'key', 'same', '1 minute', '[]', '[]') ->> 'outcome', 'replay',
    'a key replays its commit');
SELECT is(storekit.stage_v1(id('acme'), 'a', id('k2'), 'key', 'else', '1 minute', '[]', '[]'), '{"outcome": "mismatch"}',
    'another request with the key is a mismatch');

-- insert_parts
RESET ROLE;
SELECT be('owner', 'acme');
SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(), jsonb_build_array(
    part('tool_calls', 'd.payload', '{"expires_on": "9999-01-01T00:00:00Z"}'), part('public.activity_outputs', 'o.content')));
SELECT results_eq($$SELECT store, key, expires_on - storekit.now() FROM storekit.part WHERE part_id = id('d.payload')$$,
    $$VALUES ('mongo', 'tool_call_logs', interval '90 days')$$,
    'storekit.insert_parts(): a document has its collection, and expires by its ttl');
SELECT results_eq($$SELECT store, entity FROM storekit.part WHERE part_id = id('o.content')$$,
    $$VALUES ('s3', 'activity_outputs')$$, 'a blob is stored in s3');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(),
    jsonb_build_array(part('contracts', 'c.title')))$$,
    'SK424', 'contracts.title is not declared as a part, or expires without a ttl', 'a column is not a part');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(), jsonb_build_array(part('nothing', 'c.pdf')))$$,
    'SK424', NULL, 'an unknown table has no parts');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(),
    jsonb_build_array(part('contracts', 'e.pdf',
    '{"expires_on": "9999-01-01T00:00:00Z"}')))$$, 'SK424', NULL, 'a part without a ttl does not expire');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(),
    jsonb_build_array(part('contracts', 'c.pdf')))$$,
    '23505', NULL, 'a part id can be used once');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('absent'), storekit.now(),
    jsonb_build_array(part('contracts', 'f.pdf')))$$,
    '23503', NULL, 'a part needs a write');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(),
    jsonb_build_array(part('contracts', 'g.pdf',
    '{"ref_id": "../../etc"}')))$$, '23514', NULL, 'a key contains no path from the caller');
SELECT throws_ok($$SELECT storekit.insert_parts(id('other'), id('w'), storekit.now(),
    jsonb_build_array(part('contracts', 'h.pdf')))$$,
    '42501', NULL, 'a part of another tenant is refused');
SELECT lives_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(), '[]')$$, 'an empty list of parts is accepted');

-- renew_v1
RESET ROLE;
SELECT function_is('storekit.renew_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_lease interval)', 'jsonb',
    'definer volatile',
    'storekit path, pinned, lock_timeout=5s', 'app');
SELECT be('app');
SELECT later('30 seconds');
SELECT is(storekit.renew_v1(id('acme'), 'a', id('w'), '1 minute'), jsonb_build_object(
    'outcome', 'renewed', 'now', storekit.now(), 'sign_until', storekit.now() + interval '1 minute'),
    'a pending write is renewed');
SELECT is((SELECT sign_until FROM storekit.part WHERE part_id = id('c.pdf')), storekit.now() + interval '1 minute',
    'the signatures of its parts are renewed');
SELECT is(storekit.renew_v1(id('acme'), 'a', id('w'), '1 second') -> 'sign_until',
    to_jsonb(storekit.now() + interval '1 minute'),
    'a lease is never shortened');
SELECT is(storekit.renew_v1(id('acme'), 'a', id('k1'), '1 minute'), '{"outcome": "lost"}',
    'a committed write cannot be renewed');
SELECT is(storekit.renew_v1(id('acme'), 'a', id('absent'), '1 minute'), '{"outcome": "lost"}',
    'an unknown write cannot be renewed');
SELECT throws_ok($$SELECT storekit.renew_v1(id('acme'), 'a', id('w'), '2 days')$$, 'SK400', NULL,
    'a renewed lease is at most a day');
SELECT later('25 hours');
SELECT is(storekit.renew_v1(id('acme'), 'a', id('w'), '1 minute'), '{"outcome": "lost"}',
    'a write can be renewed for at most a day');
SELECT be('app');
SELECT is(storekit.renew_v1(id('other'), 'a', id('w'), '1 minute'), '{"outcome": "lost"}',
    'a write of another tenant cannot be renewed');

SELECT * FROM finish();
