-- Stage and renew: the durable promise before any byte leaves.
SELECT plan(34);

-- stage_v1
SELECT function_is('storekit.stage_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_key text, '
        'p_fingerprint bytea, p_lease interval, p_parts jsonb, p_targets jsonb)',
    'jsonb', 'definer volatile', 'storekit path, TimeZone=UTC, enable_seqscan=off', 'app');
SELECT be('app');
SELECT is(stage('w', part('contracts', 'c.pdf')), jsonb_build_object(
    'outcome', 'staged', 'now', storekit.now(), 'sign_until', storekit.now() + interval '1 minute',
    'parts', jsonb_build_object(id('c.pdf'), jsonb_build_object(
        'key', concat_ws('/', id('acme'), 'contracts', ref('c'), 'pdf', id('c.pdf')), 'expires_on', NULL))),
    'it answers keys and the last instant of their signatures');
SELECT results_eq($$SELECT state::text, live, store, size, sha256, sign_until FROM storekit.part WHERE part_id = id('c.pdf')$$,
    $$VALUES ('pending', NULL::boolean, 's3', 2::bigint, sha256('hi'), storekit.now() + interval '1 minute')$$,
    'a promised part is pending, not live');
SELECT is(stage('w', part('contracts', 'c.pdf')) ->> 'outcome', 'staged', 'the same write again is answered again');
SELECT is((SELECT count(*) FROM storekit.part), 1::bigint, 'and promises nothing more');
SELECT throws_ok($$SELECT storekit.stage_v1(id('acme'), 'a', id('x'), NULL, NULL, NULL, '[]', '[]')$$, 'SK400', NULL,
    'a lease must be named');
SELECT throws_ok($$SELECT storekit.stage_v1(id('acme'), 'a', id('x'), NULL, NULL, '0', '[]', '[]')$$, 'SK400', NULL,
    'none of no time');
SELECT throws_ok($$SELECT storekit.stage_v1(id('acme'), 'a', id('x'), NULL, NULL, '25 hours', '[]', '[]')$$, 'SK400', NULL,
    'nor above a day');
SELECT throws_ok($$SELECT storekit.stage_v1(id('other'), 'a', id('x'), NULL, NULL, '1 minute', '[]', '[]')$$, 'SK004', NULL,
    'one transaction is one tenant''s');

-- Targets: what cannot be changed is not uploaded for.
SELECT save_call('call');
SELECT is(storekit.stage_v1(id('acme'), 'a', id('t1'), NULL, NULL, '1 minute', '[]',
    jsonb_build_array(at('call', '{"entity": "tool_calls", "expected_version": 1}'))) ->> 'outcome', 'staged',
    'a target at its version is staged for');
SELECT is(storekit.stage_v1(id('acme'), 'a', id('t2'), NULL, NULL, '1 minute', '[]',
    jsonb_build_array(at('call', '{"entity": "tool_calls", "expected_version": 2}'))),
    at('call', '{"outcome": "conflict", "entity": "tool_calls", "expected": 2, "found": 1}'),
    'one at another version conflicts');
SELECT is(storekit.stage_v1(id('acme'), 'a', id('t3'), NULL, NULL, '1 minute', '[]',
    jsonb_build_array(at('none', '{"entity": "tool_calls"}'))),
    at('none', '{"outcome": "missing", "entity": "tool_calls"}'), 'one that is not there is missing');
SELECT is((SELECT count(*) FROM storekit.write WHERE write_id IN (id('t2'), id('t3'))), 0::bigint,
    'a refused write leaves no row');

-- A key
SELECT storekit.commit_v1(id('acme'), 'a', id('k1'), 'key', 'same', '[]', jsonb_build_array(run('run')));
SELECT is(storekit.stage_v1(id('acme'), 'a', id('k2'), 'key', 'same', '1 minute', '[]', '[]') ->> 'outcome', 'replay',
    'a key replays its commit');
SELECT is(storekit.stage_v1(id('acme'), 'a', id('k2'), 'key', 'else', '1 minute', '[]', '[]'), '{"outcome": "mismatch"}',
    'for its request alone');

-- insert_parts
RESET ROLE;
SELECT be('owner', 'acme');
SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(), jsonb_build_array(
    part('tool_calls', 'd.payload', '{"expires_on": "9999-01-01T00:00:00Z"}'), part('public.activity_outputs', 'o.content')));
SELECT results_eq($$SELECT store, key, expires_on - storekit.now() FROM storekit.part WHERE part_id = id('d.payload')$$,
    $$VALUES ('mongo', 'tool_call_logs', interval '90 days')$$,
    'storekit.insert_parts(): a document is of its collection, no later than its ttl');
SELECT results_eq($$SELECT store, entity FROM storekit.part WHERE part_id = id('o.content')$$,
    $$VALUES ('s3', 'activity_outputs')$$, 'a blob is of s3');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(),
    jsonb_build_array(part('contracts', 'c.title')))$$,
    'SK400', 'contracts.title is not declared as a part, or expires without a ttl', 'a column is no part');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(), jsonb_build_array(part('nothing', 'c.pdf')))$$,
    'SK400', NULL, 'an unknown table has none');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(),
    jsonb_build_array(part('contracts', 'e.pdf',
    '{"expires_on": "9999-01-01T00:00:00Z"}')))$$, 'SK400', NULL, 'a part without a ttl does not expire');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(),
    jsonb_build_array(part('contracts', 'c.pdf')))$$,
    '23505', NULL, 'a part id is used once');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('absent'), storekit.now(),
    jsonb_build_array(part('contracts', 'f.pdf')))$$,
    '23503', NULL, 'a part has a write');
SELECT throws_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(),
    jsonb_build_array(part('contracts', 'g.pdf',
    '{"ref_id": "../../etc"}')))$$, '23514', NULL, 'a key holds no path of the caller''s');
SELECT throws_ok($$SELECT storekit.insert_parts(id('other'), id('w'), storekit.now(),
    jsonb_build_array(part('contracts', 'h.pdf')))$$,
    '42501', NULL, 'nor is a part of another tenant');
SELECT lives_ok($$SELECT storekit.insert_parts(id('acme'), id('w'), storekit.now(), '[]')$$, 'no parts are no error');

-- renew_v1
RESET ROLE;
SELECT function_is('storekit.renew_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_lease interval)', 'jsonb',
    'definer volatile',
    'storekit path, TimeZone=UTC, enable_seqscan=off', 'app');
SELECT be('app');
SELECT later('30 seconds');
SELECT is(storekit.renew_v1(id('acme'), 'a', id('w'), '1 minute'), jsonb_build_object(
    'outcome', 'renewed', 'now', storekit.now(), 'sign_until', storekit.now() + interval '1 minute'),
    'a pending write is renewed');
SELECT is((SELECT sign_until FROM storekit.part WHERE part_id = id('c.pdf')), storekit.now() + interval '1 minute',
    'and its parts'' signatures');
SELECT is(storekit.renew_v1(id('acme'), 'a', id('w'), '1 second') -> 'sign_until',
    to_jsonb(storekit.now() + interval '1 minute'),
    'a lease is never shortened');
SELECT is(storekit.renew_v1(id('acme'), 'a', id('k1'), '1 minute'), '{"outcome": "lost"}',
    'a committed write is past renewing');
SELECT is(storekit.renew_v1(id('acme'), 'a', id('absent'), '1 minute'), '{"outcome": "lost"}', 'so is one that is not there');
SELECT throws_ok($$SELECT storekit.renew_v1(id('acme'), 'a', id('w'), '2 days')$$, 'SK400', NULL,
    'a lease is no longer than a day');
SELECT later('25 hours');
SELECT is(storekit.renew_v1(id('acme'), 'a', id('w'), '1 minute'), '{"outcome": "lost"}',
    'no write is renewed for more than a day');
SELECT be('app');
SELECT is(storekit.renew_v1(id('other'), 'a', id('w'), '1 minute'), '{"outcome": "lost"}', 'nor another tenant''s');

SELECT * FROM finish();
