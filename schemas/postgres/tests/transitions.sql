-- transition_v1: changes the state of one row, with a reason.
SELECT plan(22);

SELECT function_is('storekit.transition_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_entity text, '
        'p_ref_id text, p_to text, p_reason text, p_expected_version bigint, '
        'p_on_behalf_of text DEFAULT NULL::text, p_context jsonb DEFAULT NULL::jsonb)',
    'jsonb', 'definer volatile', 'storekit path, pinned, lock_timeout=5s', 'app');
SELECT be('app');
SELECT commit('w', run('run'));
CREATE FUNCTION pg_temp.move(p_write text, p_to text, p_version bigint DEFAULT NULL, p_reason text DEFAULT NULL,
    p_entity text DEFAULT 'activity_runs',
    p_name text DEFAULT 'run') RETURNS jsonb LANGUAGE sql
    RETURN storekit.transition_v1(id('acme'), 'agent:test', id(p_write), p_entity, ref(p_name), p_to, p_reason, p_version);

SELECT is(pg_temp.move('m1', 'running', 1, 'it is time'),
    jsonb_build_object('outcome', 'committed', 'now', storekit.now(), 'rows',
    jsonb_build_array(jsonb_build_array('activity_runs', ref('run'), 2))), 'a transition is a commit of one row');
SELECT is((SELECT status::text FROM activity_runs), 'running', 'the row has the new state');
SELECT results_eq('SELECT type, before, after, reason, actor, write_id FROM storekit.event ORDER BY id DESC LIMIT 1',
    $$VALUES ('activity_runs.transitioned', '{"status": "pending"}'::jsonb, '{"status": "running"}'::jsonb, 'it is time',
        'agent:test', id('m1'))$$,
    'the event has both states and the reason');
SELECT is(current_setting('storekit.reason'), '', 'later statements do not have the reason');
SELECT is(pg_temp.move('m2', 'succeeded') -> 'rows' -> 0 -> 2, '3', 'the expected version is optional');
SELECT is((SELECT reason FROM storekit.event ORDER BY id DESC LIMIT 1), NULL, 'the reason is optional');
SELECT is(pg_temp.move('m3', 'succeeded') -> 'rows' -> 0 -> 2, '3', 'a transition that was the last change is not made twice');
SELECT refused($$SELECT pg_temp.move('x', 'succeeded', 1)$$, 'SK410', 'cannot change from succeeded to succeeded',
    'unless the row has another version than it would have');
SELECT is(pg_temp.move('m1', 'running') ->> 'outcome', 'replay', 'a repeated transition returns the same result');

SELECT commit('w2', run('run2'));
SELECT refused($$SELECT pg_temp.move('x', 'succeeded', p_name => 'run2')$$, 'SK410',
    'it cannot change from pending to succeeded, only cancelled, running', 'an undeclared transition');
SELECT refused($$SELECT pg_temp.move('x', 'pending', p_name => 'run2')$$, 'SK410', 'it cannot change from pending to pending',
    'a transition to the same state');
SELECT refused($$SELECT pg_temp.move('x', 'running', 9, p_name => 'run2')$$, 'SK409', 'has version 1, not 9',
    'a stale version');
SELECT refused($$SELECT pg_temp.move('x', 'running', p_name => 'none')$$, 'SK404', 'was not found', 'a missing row');
SELECT refused($$SELECT pg_temp.move('x', 'purple', p_name => 'run2')$$, '(22P02|SK410)', 'purple', 'an unknown state');
SELECT refused($$SELECT pg_temp.move('x', 'running', p_entity => 'contracts')$$, 'SK400', 'has no state machine',
    'a table without a machine');
SELECT refused($$SELECT pg_temp.move('x', 'running', p_entity => 'pg_catalog.pg_class')$$, 'SK424', 'is not managed',
    'a table that is not managed');
SELECT is((SELECT count(*) FROM storekit.write WHERE write_id = id('x')), 0::bigint, 'a refused transition writes no write');
SELECT is((SELECT status::text FROM activity_runs WHERE ref_id = ref('run2')), 'pending',
    'a refused transition does not change the row');
SELECT be('app');
SELECT refused($$SELECT storekit.transition_v1(id('other'), 'a', id('y'), 'activity_runs', ref('run2'), 'running', NULL, NULL)$$,
    'SK404', 'was not found',
    'a row of another tenant is not found');
SELECT be('app', 'acme');
SELECT lives_ok($$UPDATE activity_runs SET status = 'running' WHERE ref_id = ref('run2')$$,
    'hand-written SQL can change the state too');
SELECT refused($$UPDATE activity_runs SET status = 'pending' WHERE ref_id = ref('run2')$$, 'SK410',
    'it cannot change from running to pending', 'as it may');

SELECT * FROM finish();
