-- Import cursors: an ordinary table of records in storekit's own schema.
SELECT plan(20);

SELECT col_is_unique('storekit', 'cursor', '{tenant_id,name}'::name[], 'cursor names are unique per tenant');
SELECT policies_are('storekit', 'cursor', '{tenant,report}'::name[]);
SELECT policy_is('storekit.cursor', 'tenant', 'FOR ALL TO PUBLIC USING (tenant_id = storekit.current_tenant())');
SELECT policy_is('storekit.cursor', 'report', 'FOR SELECT TO storekit_reports USING (true)');
SELECT triggers_are('storekit', 'cursor', '{storekit_touch,storekit_insert,storekit_update,storekit_delete}'::name[]);
SELECT trigger_does('cursor', 'storekit_touch', 'BEFORE UPDATE ROW storekit.touch(''t'', ''t'')');
SELECT trigger_does('cursor', 'storekit_insert', 'AFTER INSERT STATEMENT storekit.record_insert(''storekit.cursor'', '''')');
SELECT trigger_does('cursor', 'storekit_update', 'AFTER UPDATE STATEMENT storekit.record_update(''storekit.cursor'', '''')');
SELECT trigger_does('cursor', 'storekit_delete', 'AFTER DELETE STATEMENT storekit.record_delete(''storekit.cursor'', '''')');

SELECT be('app');
SELECT is(commit('w', op('insert', 'storekit.cursor',
    at('c', '{"name": "webhooks", "position": "evt_1"}'))) ->> 'outcome', 'committed',
    'a cursor is created by its first move');
SELECT be('app', 'acme');
SELECT results_eq('SELECT name, "position", version FROM storekit.cursor', $$VALUES ('webhooks', 'evt_1', 1::bigint)$$,
    'the tenant can read its cursor');
SELECT be('app', 'other');
SELECT is_empty('SELECT FROM storekit.cursor', 'another tenant cannot read the cursor');
SELECT be('app');
SELECT refused(format('SELECT commit(''x'', op(''update'', ''storekit.cursor'', %L))',
    at('c', '{"position": "evt_9", "expected_version": 7}')), 'SK409', 'has version 1, not 7', 'a move is compare-and-set');
SELECT is(commit('y', op('update', 'storekit.cursor', at('c', '{"position": "evt_2", "expected_version": 1}'))) ->> 'outcome',
    'committed', 'a move with the current version succeeds');
SELECT refused(format('SELECT commit(''z'', op(''insert'', ''storekit.cursor'', %L))',
    at('d', '{"name": "webhooks", "position": "evt_1"}')), '23505', 'cursor_natural_key',
    'of two first moves one succeeds');
SELECT be('app', 'acme');
SELECT results_eq($$SELECT type, after ->> 'position' FROM storekit.event WHERE entity = 'storekit.cursor' ORDER BY version$$,
    $$VALUES ('storekit.cursor.created', 'evt_1'), ('storekit.cursor.updated', 'evt_2')$$, 'each move is an event');

-- Rows of a table with a natural key are inserted in the order of the key.
SELECT be('owner', 'acme');
SELECT is(storekit."write_storekit.cursor"('insert', '{name}', '{}', jsonb_build_array(
    at('a', jsonb_build_object('id', id('a'), 'name', 'z')), at('b', jsonb_build_object('id', id('b'), 'name', 'm')),
    at('e', jsonb_build_object('id', id('e'), 'name', 'a'))), ARRAY[ref('a'), ref('b'), ref('e')]),
    jsonb_build_object(ref('a'), 1, ref('b'), 1, ref('e'), 1), 'many rows are inserted at once');
SELECT results_eq('SELECT name FROM storekit.cursor WHERE length(name) = 1 ORDER BY ctid', $$VALUES ('a'), ('m'), ('z')$$,
    'rows are inserted in the order of the natural key');
SELECT matches(pg_get_functiondef('storekit."write_storekit.cursor"'::regproc), 'ORDER BY r.name, r.ref_id',
    'the writer sorts rows by the natural key');
SELECT matches(pg_get_functiondef('storekit.write_tool_calls'::regproc), 'ORDER BY r.ref_id',
    'the writer of a table without natural key sorts by ref_id');
