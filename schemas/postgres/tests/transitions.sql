-- transition_v1: one row's state moves, with a reason.
SELECT plan(20);

SELECT function_is('storekit.transition_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_entity text, '
        'p_ref_id text, p_to text, p_reason text, p_expected_version bigint)',
    'jsonb', 'definer volatile', 'storekit path, TimeZone=UTC, enable_seqscan=off, lock_timeout=5s', 'app');
SELECT be('app');
SELECT commit('w', run('run'));
CREATE FUNCTION pg_temp.move(p_write text, p_to text, p_version bigint DEFAULT NULL, p_reason text DEFAULT NULL,
    p_entity text DEFAULT 'activity_runs',
    p_name text DEFAULT 'run') RETURNS jsonb LANGUAGE sql
    RETURN storekit.transition_v1(id('acme'), 'agent:test', id(p_write), p_entity, ref(p_name), p_to, p_reason, p_version);

SELECT is(pg_temp.move('m1', 'running', 1, 'it is time'),
    jsonb_build_object('outcome', 'committed', 'now', storekit.now(), 'rows',
    jsonb_build_array(jsonb_build_array('activity_runs', ref('run'), 2))), 'a move is a commit of one row');
SELECT is((SELECT status::text FROM activity_runs), 'running', 'the row has moved');
SELECT results_eq('SELECT type, before, after, reason, actor, write_id FROM storekit.event ORDER BY id DESC LIMIT 1',
    $$VALUES ('activity_runs.transitioned', '{"status": "pending"}'::jsonb, '{"status": "running"}'::jsonb, 'it is time',
        'agent:test', id('m1'))$$,
    'its event tells from where, to where and why');
SELECT is(current_setting('storekit.reason'), '', 'what the caller does next has another reason');
SELECT is(pg_temp.move('m2', 'succeeded') -> 'rows' -> 0 -> 2, '3', 'a version need not be named');
SELECT is((SELECT reason FROM storekit.event ORDER BY id DESC LIMIT 1), NULL, 'nor a reason');
SELECT is(pg_temp.move('m1', 'running') ->> 'outcome', 'replay', 'a move that is asked again is answered again');

SELECT commit('w2', run('run2'));
SELECT refused($$SELECT pg_temp.move('x', 'succeeded', p_name => 'run2')$$, 'SK410',
    'it cannot change from pending to succeeded, only cancelled, running', 'a move that is not there');
SELECT refused($$SELECT pg_temp.move('x', 'pending', p_name => 'run2')$$, 'SK410', 'it cannot change from pending to pending',
    'to stay is a move of its own');
SELECT refused($$SELECT pg_temp.move('x', 'running', 9, p_name => 'run2')$$, 'SK409', 'has version 1, not 9',
    'a version that has passed');
SELECT refused($$SELECT pg_temp.move('x', 'running', p_name => 'none')$$, 'SK404', 'was not found', 'a row that is not there');
SELECT refused($$SELECT pg_temp.move('x', 'purple', p_name => 'run2')$$, '(22P02|SK410)', 'purple', 'a state that is none');
SELECT refused($$SELECT pg_temp.move('x', 'running', p_entity => 'contracts')$$, 'SK400', 'has no state machine',
    'a table without a machine');
SELECT refused($$SELECT pg_temp.move('x', 'running', p_entity => 'pg_class')$$, 'SK424', 'is not managed',
    'a table that is not managed');
SELECT is((SELECT count(*) FROM storekit.write WHERE write_id = id('x')), 0::bigint, 'a refused move leaves no write');
SELECT is((SELECT status::text FROM activity_runs WHERE ref_id = ref('run2')), 'pending', 'and the row as it was');
SELECT be('app');
SELECT refused($$SELECT storekit.transition_v1(id('other'), 'a', id('y'), 'activity_runs', ref('run2'), 'running', NULL, NULL)$$,
    'SK404', 'was not found',
    'another tenant''s row is not there');
SELECT be('app', 'acme');
SELECT lives_ok($$UPDATE activity_runs SET status = 'running' WHERE ref_id = ref('run2')$$, 'by hand a row moves too');
SELECT refused($$UPDATE activity_runs SET status = 'pending' WHERE ref_id = ref('run2')$$, 'SK410',
    'it cannot change from running to pending', 'as it may');

SELECT * FROM finish();
