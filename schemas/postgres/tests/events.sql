-- Events: one for each changed row and statement, whoever changes it and however.
SELECT plan(32);

SELECT be('app', 'acme');
SELECT set_config('storekit.actor', 'agent:hand', true);
CREATE FUNCTION pg_temp.last() RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb(e) FROM storekit.event AS e ORDER BY e.id DESC LIMIT 1 $$;
CREATE FUNCTION pg_temp.told() RETURNS text LANGUAGE sql AS $$
    SELECT concat(e ->> 'type', ' ', e -> 'version') FROM pg_temp.last() AS e $$;

-- storekit_insert: storekit.record_insert()
INSERT INTO activity_runs (activity, agent, status) VALUES ('research', 'scout', 'running');
SELECT is(pg_temp.told(), 'activity_runs.created 1', 'an insert is told');
SELECT is(pg_temp.last() -> 'before', 'null', 'before it there was nothing');
SELECT is(pg_temp.last() -> 'after' ->> 'agent', 'scout', 'after it there is the row');
SELECT is(pg_temp.last() -> 'after' ? 'parts_live', false, 'without the column that only a key needs');
SELECT results_eq('SELECT actor, "session_user" = session_user, occurred_on, write_id, reason, tenant_id FROM storekit.event',
    $$VALUES ('agent:hand', true, storekit.now(), NULL::uuid, NULL::text, id('acme'))$$,
    'an event tells who, as whom, when and why');
SELECT is((SELECT after ->> 'created_on' FROM storekit.event) ~ '\+00:00$', true, 'times are told in UTC');
INSERT INTO activity_runs (activity, agent) SELECT 'many', 'scout' FROM generate_series(1, 5);
SELECT is((SELECT count(*) FROM storekit.event), 6::bigint, 'five rows are five events');
INSERT INTO activity_runs (activity, agent) SELECT 'none', 'scout' WHERE false;
SELECT is((SELECT count(*) FROM storekit.event), 6::bigint, 'no rows are none');

-- storekit_touch: storekit.touch(); storekit_update: storekit.record_update()
UPDATE activity_runs SET error = 'oops' WHERE activity = 'research';
SELECT is(pg_temp.told(), 'activity_runs.updated 2', 'an update is told, with the next version');
SELECT is(pg_temp.last() -> 'before', '{"error": null}', 'before: what changed alone');
SELECT is(pg_temp.last() -> 'after', '{"error": "oops"}', 'after: the same');
SELECT results_eq('SELECT version, updated_on, updated_by FROM activity_runs WHERE activity = ''research''',
    $$VALUES (2::bigint, storekit.now(), 'agent:hand')$$, 'storekit.touch() keeps version, time and actor');
UPDATE activity_runs SET error = error WHERE activity = 'research';
SELECT is(pg_temp.told(), 'activity_runs.updated 3', 'an update of nothing is a version and an event too');
UPDATE activity_runs SET status = 'failed' WHERE activity = 'research';
SELECT is(pg_temp.told(), 'activity_runs.transitioned 4', 'a move of the state is told as one');
SELECT set_config('storekit.reason', 'by hand', true);
UPDATE activity_runs SET error = NULL WHERE activity = 'research';
SELECT is(pg_temp.last() ->> 'reason', 'by hand', 'a reason that was set is told');
UPDATE activity_runs SET error = 'all' WHERE activity = 'many';
SELECT is((SELECT count(*) FROM storekit.event WHERE type = 'activity_runs.updated' AND after ->> 'error' = 'all'), 5::bigint,
    'five rows are five events');

-- storekit_delete: storekit.record_delete()
DELETE FROM activity_runs WHERE activity = 'research';
SELECT is(pg_temp.told(), 'activity_runs.deleted 6', 'a delete is told, one past the last version');
SELECT is(pg_temp.last() -> 'before' ->> 'agent', 'scout', 'before it there was the row');
SELECT is(pg_temp.last() -> 'after', 'null', 'after it there is nothing');
SELECT is(pg_temp.last() -> 'before' ? 'parts_live', false, 'without the column that only a key needs');
DELETE FROM activity_runs WHERE activity = 'many';
SELECT is((SELECT count(*) FROM storekit.event WHERE type = 'activity_runs.deleted'), 6::bigint, 'six rows in all');

-- Soft deletes, and the parts that a change drops
SELECT be('app');
SELECT save_call('call');
SELECT commit('d', op('delete', 'tool_calls', at('call')));
SELECT is(pg_temp.told(), 'tool_calls.deleted 2', 'a soft delete is told as a delete');
SELECT is((SELECT superseded_on FROM storekit.part WHERE part_id = id('call.payload')), NULL, 'it keeps its parts');
SELECT commit('r', op('restore', 'tool_calls', at('call')));
SELECT is(pg_temp.told(), 'tool_calls.restored 3', 'a restore is told');
SELECT commit('u', op('update', 'tool_calls', at('call', '{"payload_ref": null}')));
SELECT is((SELECT superseded_on FROM storekit.part WHERE part_id = id('call.payload')), storekit.now(),
    'a part that is replaced is queued for the purge');
SELECT save_call('call2');
DELETE FROM tool_calls WHERE ref_id = ref('call2');
SELECT is(pg_temp.told(), 'tool_calls.deleted 2', 'a row may go by hand');
SELECT is((SELECT superseded_on FROM storekit.part WHERE part_id = id('call2.payload')), storekit.now(),
    'its parts are queued as well');

-- Identity
RESET ROLE;
SELECT refused(format('UPDATE tool_calls SET %s', change), 'SK001', 'never change', change)
    FROM unnest(ARRAY['tenant_id = id(''other'')', 'id = id(''x'')', 'ref_id = ref(''x'')']) AS change;

-- Hands that reach past the tenant
SELECT set_config('storekit.tenant', id('other')::text, true);
SELECT save_call('call3') FROM be('app');
RESET ROLE;
SELECT set_config('storekit.tenant', id('other')::text, true);
SELECT refused('UPDATE tool_calls SET payload_ref = NULL WHERE ref_id = ref(''call3'')', 'SK004', 'one tenant at a time',
    'a superuser''s too');
SELECT refused('DELETE FROM tool_calls WHERE ref_id = ref(''call3'')', 'SK004', 'one tenant at a time', 'nor delete them');

SELECT * FROM finish();
