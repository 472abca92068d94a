-- Events: one for each changed row and statement, for every role and kind of statement.
SELECT plan(32);

SELECT be('app', 'acme');
SELECT set_config('storekit.actor', 'agent:hand', true);
CREATE FUNCTION pg_temp.last() RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb(e) FROM storekit.event AS e ORDER BY e.id DESC LIMIT 1 $$;
CREATE FUNCTION pg_temp.last_event() RETURNS text LANGUAGE sql AS $$
    SELECT concat(e ->> 'type', ' ', e -> 'version') FROM pg_temp.last() AS e $$;

-- storekit_insert: storekit.record_insert()
INSERT INTO activity_runs (activity, agent, status) VALUES ('research', 'scout', 'running');
SELECT is(pg_temp.last_event(), 'activity_runs.created 1', 'an insert is an event');
SELECT is(pg_temp.last() -> 'before', 'null', 'before is null for an insert');
SELECT is(pg_temp.last() -> 'after' ->> 'agent', 'scout', 'after contains the inserted row');
SELECT is(pg_temp.last() -> 'after' ? 'parts_live', false, 'parts_live is not part of the event');
SELECT results_eq('SELECT actor, login = session_user, occurred_on, write_id, reason, tenant_id FROM storekit.event',
    $$VALUES ('agent:hand', true, storekit.now(), NULL::uuid, NULL::text, id('acme'))$$,
    'an event has actor, login, time, write, reason and tenant');
SELECT is((SELECT after ->> 'created_on' FROM storekit.event) ~ '\+00:00$', true, 'times in events are UTC');
INSERT INTO activity_runs (activity, agent) SELECT 'many', 'scout' FROM generate_series(1, 5);
SELECT is((SELECT count(*) FROM storekit.event), 6::bigint, 'five rows are five events');
INSERT INTO activity_runs (activity, agent) SELECT 'none', 'scout' WHERE false;
SELECT is((SELECT count(*) FROM storekit.event), 6::bigint, 'a statement without rows records no event');

-- storekit_touch: storekit.touch(); storekit_update: storekit.record_update()
UPDATE activity_runs SET error = 'oops' WHERE activity = 'research';
SELECT is(pg_temp.last_event(), 'activity_runs.updated 2', 'an update is an event with the next version');
SELECT is(pg_temp.last() -> 'before', '{"error": null}', 'before contains the changed columns only');
SELECT is(pg_temp.last() -> 'after', '{"error": "oops"}', 'after contains the changed columns only');
SELECT results_eq('SELECT version, updated_on, updated_by FROM activity_runs WHERE activity = ''research''',
    $$VALUES (2::bigint, storekit.now(), 'agent:hand')$$, 'storekit.touch() sets version, time and actor');
UPDATE activity_runs SET error = error WHERE activity = 'research';
SELECT is(pg_temp.last_event(), 'activity_runs.updated 2', 'an update without a change is no version and no event');
UPDATE activity_runs SET status = 'failed' WHERE activity = 'research';
SELECT is(pg_temp.last_event(), 'activity_runs.transitioned 3', 'a change of the state is a transition event');
SELECT set_config('storekit.reason', 'by hand', true);
UPDATE activity_runs SET error = NULL WHERE activity = 'research';
SELECT is(pg_temp.last() ->> 'reason', 'by hand', 'an event has the reason of the transaction');
UPDATE activity_runs SET error = 'all' WHERE activity = 'many';
SELECT is((SELECT count(*) FROM storekit.event WHERE type = 'activity_runs.updated' AND after ->> 'error' = 'all'), 5::bigint,
    'five rows are five events');

-- storekit_delete: storekit.record_delete()
DELETE FROM activity_runs WHERE activity = 'research';
SELECT is(pg_temp.last_event(), 'activity_runs.deleted 5', 'a delete is an event with the next version');
SELECT is(pg_temp.last() -> 'before' ->> 'agent', 'scout', 'before contains the deleted row');
SELECT is(pg_temp.last() -> 'after', 'null', 'after is null for a delete');
SELECT is(pg_temp.last() -> 'before' ? 'parts_live', false, 'parts_live is not part of the event');
DELETE FROM activity_runs WHERE activity = 'many';
SELECT is((SELECT count(*) FROM storekit.event WHERE type = 'activity_runs.deleted'), 6::bigint, 'six deleted rows are six events');

-- Soft deletes, and the parts that a change removes
SELECT be('app');
SELECT save_call('call');
SELECT commit('d', op('delete', 'tool_calls', at('call')));
SELECT is(pg_temp.last_event(), 'tool_calls.deleted 2', 'a soft delete is a delete event');
SELECT is((SELECT superseded_on FROM storekit.part WHERE part_id = id('call.payload')), NULL, 'a soft delete keeps the parts');
SELECT commit('r', op('restore', 'tool_calls', at('call')));
SELECT is(pg_temp.last_event(), 'tool_calls.restored 3', 'a restore is an event');
SELECT commit('u', op('update', 'tool_calls', at('call', '{"payload_ref": null}')));
SELECT is((SELECT superseded_on FROM storekit.part WHERE part_id = id('call.payload')), storekit.now(),
    'a replaced part is queued for the purge');
SELECT save_call('call2');
DELETE FROM tool_calls WHERE ref_id = ref('call2');
SELECT is(pg_temp.last_event(), 'tool_calls.deleted 2', 'a row can be deleted with hand-written SQL');
SELECT is((SELECT superseded_on FROM storekit.part WHERE part_id = id('call2.payload')), storekit.now(),
    'the parts of a deleted row are queued for the purge');

-- Identity
RESET ROLE;
SELECT refused(format('UPDATE tool_calls SET %s', change), 'SK001', 'never change', change)
    FROM unnest(ARRAY['tenant_id = id(''other'')', 'id = id(''x'')', 'ref_id = ref(''x'')']) AS change;

-- Superusers that change rows of another tenant
SELECT set_config('storekit.tenant', id('other')::text, true);
SELECT save_call('call3') FROM be('app');
RESET ROLE;
SELECT set_config('storekit.tenant', id('other')::text, true);
SELECT refused('UPDATE tool_calls SET payload_ref = NULL WHERE ref_id = ref(''call3'')', 'SK004', 'must be for one tenant',
    'an update of another tenant''s row by a superuser');
SELECT refused('DELETE FROM tool_calls WHERE ref_id = ref(''call3'')', 'SK004', 'must be for one tenant',
    'a delete of another tenant''s row by a superuser');

SELECT * FROM finish();
