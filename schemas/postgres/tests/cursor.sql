-- Cursors of other systems: a table of records like any other, in storekit's own schema.
SELECT plan(20);

SELECT col_is_unique('storekit', 'cursor', '{tenant_id,name}'::name[], 'a tenant has one of a name');
SELECT policies_are('storekit', 'cursor', '{tenant,report}'::name[]);
SELECT policy_is('storekit.cursor', 'tenant', 'FOR ALL TO PUBLIC USING (tenant_id = storekit.current_tenant())');
SELECT policy_is('storekit.cursor', 'report', 'FOR SELECT TO storekit_reports USING (true)');
SELECT triggers_are('storekit', 'cursor', '{storekit_touch,storekit_insert,storekit_update,storekit_delete}'::name[]);
SELECT trigger_does('cursor', 'storekit_touch', 'BEFORE UPDATE ROW storekit.touch(''t'')');
SELECT trigger_does('cursor', 'storekit_insert', 'AFTER INSERT STATEMENT storekit.record_insert(''storekit.cursor'', '''')');
SELECT trigger_does('cursor', 'storekit_update', 'AFTER UPDATE STATEMENT storekit.record_update(''storekit.cursor'', '''')');
SELECT trigger_does('cursor', 'storekit_delete', 'AFTER DELETE STATEMENT storekit.record_delete(''storekit.cursor'', '''')');
SELECT be('app');
SELECT is(commit('w', op('insert', 'storekit.cursor',
    at('c', '{"name": "webhooks", "position": "evt_1"}'))) ->> 'outcome', 'committed',
    'a cursor is made where it is first moved');
SELECT be('app', 'acme');
SELECT results_eq('SELECT name, "position", version FROM storekit.cursor', $$VALUES ('webhooks', 'evt_1', 1::bigint)$$,
    'its tenant sees it');
SELECT be('app', 'other');
SELECT is_empty('SELECT FROM storekit.cursor', 'another tenant does not');
SELECT be('app');
SELECT refused(format('SELECT commit(''x'', op(''update'', ''storekit.cursor'', %L))',
    at('c', '{"position": "evt_9", "expected_version": 7}')), 'SK409', 'has version 1, not 7', 'a move is compare-and-set');
SELECT is(commit('y', op('update', 'storekit.cursor', at('c', '{"position": "evt_2", "expected_version": 1}'))) ->> 'outcome',
    'committed', 'who knows where it was moves it');
SELECT refused(format('SELECT commit(''z'', op(''insert'', ''storekit.cursor'', %L))',
    at('d', '{"name": "webhooks", "position": "evt_1"}')), '23505', 'cursor_natural_key',
    'of two who move it first one does');
SELECT be('app', 'acme');
SELECT results_eq($$SELECT type, after ->> 'position' FROM storekit.event WHERE entity = 'storekit.cursor' ORDER BY version$$,
    $$VALUES ('storekit.cursor.created', 'evt_1'), ('storekit.cursor.updated', 'evt_2')$$, 'each move is told');

-- A table with a natural key is filled in its order.
SELECT be('owner', 'acme');
SELECT is(storekit."write_storekit.cursor"('insert', '{name}', '{}', jsonb_build_array(
    at('a', jsonb_build_object('id', id('a'), 'name', 'z')), at('b', jsonb_build_object('id', id('b'), 'name', 'm')),
    at('e', jsonb_build_object('id', id('e'), 'name', 'a'))), ARRAY[ref('a'), ref('b'), ref('e')]),
    jsonb_build_object(ref('a'), 1, ref('b'), 1, ref('e'), 1), 'many rows go in at once');
SELECT results_eq('SELECT name FROM storekit.cursor WHERE length(name) = 1 ORDER BY ctid', $$VALUES ('a'), ('m'), ('z')$$,
    'one key after the other');
SELECT matches(pg_get_functiondef('storekit."write_storekit.cursor"'::regproc), 'ORDER BY r.name, r.ref_id',
    'whatever their number');
SELECT matches(pg_get_functiondef('storekit.write_tool_calls'::regproc), 'ORDER BY r.ref_id',
    'and one without it in the order of its rows');
