-- The function that manage() creates for each table, with its columns and types. Only commit calls it.
SELECT plan(33);

-- Every table: an insert of the entity's columns, with defaults for missing ones.
SELECT be('owner', 'acme');
SELECT is(storekit.write_activity_runs('insert', '{activity,agent,status}', '{}', jsonb_build_array(
    at('run', jsonb_build_object('id', id('run'), 'activity', 'research', 'agent', 'scout', 'status', 'running'))),
    ARRAY[ref('run')]),
    jsonb_build_object(ref('run'), 1), 'an insert returns {ref_id: version}');
SELECT results_eq('SELECT id, status::text, attempt, error FROM activity_runs',
    $$VALUES (id('run'), 'running', 1::bigint, NULL::text)$$,
    'a missing column has its default');
SELECT is(storekit.write_activity_outputs('insert', '{run_id}', '{}', jsonb_build_array(
    at('output', jsonb_build_object('id', id('output'), 'run_id', id('run')))), ARRAY[ref('output')]),
    jsonb_build_object(ref('output'), 1), 'storekit.write_activity_outputs() inserts');
SELECT is(storekit.write_blog_posts('insert', '{output_id,title}', '{}', jsonb_build_array(
    at('post', jsonb_build_object('id', id('post'), 'output_id', id('output'), 'title', 't'))), ARRAY[ref('post')]),
    jsonb_build_object(ref('post'), 1), 'storekit.write_blog_posts() inserts');
SELECT is(storekit.write_contracts('insert', '{title,accepted_by,accepted_on}', '{}', jsonb_build_array(
    at('contract', jsonb_build_object('id', id('contract'), 'title', 't', 'accepted_by', 'x', 'accepted_on',
    '2026-01-01T00:00:00Z'))), ARRAY[ref('contract')]),
    jsonb_build_object(ref('contract'), 1), 'storekit.write_contracts() inserts');
SELECT is(storekit.write_llm_calls('insert', '{run_id,model,input_tokens,output_tokens,cost}', '{}', jsonb_build_array(
    at('llm', jsonb_build_object('id', id('llm'), 'run_id', id('run'), 'model', 'm', 'input_tokens', 1, 'output_tokens', 2,
    'cost', '0.000000000000000001'))),
    ARRAY[ref('llm')]), jsonb_build_object(ref('llm'), 1), 'storekit.write_llm_calls() inserts');
SELECT is((SELECT cost FROM llm_calls), 0.000000000000000001, 'a decimal keeps every digit');
SELECT is(storekit.write_sessions('insert', '{token_digest,user_name,expires_on}', '{}', jsonb_build_array(
    at('session', jsonb_build_object('id', id('session'), 'token_digest', 'd', 'user_name', 'u', 'expires_on',
    '2026-01-01T00:00:00Z'))), ARRAY[ref('session')]),
    jsonb_build_object(ref('session'), 1), 'storekit.write_sessions() inserts');
SELECT is(storekit.write_tool_calls('insert', '{run_id,name,method}', '{}', jsonb_build_array(
    at('call', jsonb_build_object('id', id('call'), 'run_id', id('run'), 'name', 'n', 'method', 'GET')),
    at('call2', jsonb_build_object('id', id('call2'), 'run_id', id('run'), 'name', 'n2', 'method', 'GET'))),
    ARRAY[ref('call'), ref('call2')]),
    jsonb_build_object(ref('call'), 1, ref('call2'), 1), 'storekit.write_tool_calls() inserts many rows');

-- Scopes self and global
SELECT refused($$SELECT storekit.write_tenants('insert', '{name}', '{}',
    jsonb_build_array(at('t', jsonb_build_object('id', id('else'), 'name', 'x'))), ARRAY[ref('t')])$$,
    '23514', 'storekit_scope', 'a row with scope self is its own tenant');
SELECT is(storekit.write_tenants('insert', '{name}', '{}',
    jsonb_build_array(at('t', jsonb_build_object('id', id('acme'), 'name', 'Acme'))), ARRAY[ref('t')]),
    jsonb_build_object(ref('t'), 1), 'storekit.write_tenants() inserts');
SELECT refused($$SELECT storekit.write_activity_templates('insert', '{name,agent,instructions}', '{}', jsonb_build_array(
    at('g', jsonb_build_object('id', id('g'), 'name', 'n', 'agent', 'a', 'instructions', 'i'))),
    ARRAY[ref('g')])$$, '23514', 'storekit_scope', 'a global row has the nil tenant');
SELECT set_config('storekit.tenant', storekit.nil()::text, true);
SELECT is(storekit.write_activity_templates('insert', '{name,agent,instructions}', '{}', jsonb_build_array(
    at('g', jsonb_build_object('id', id('g'), 'name', 'n', 'agent', 'a', 'instructions', 'i'))), ARRAY[ref('g')]),
    jsonb_build_object(ref('g'), 1), 'storekit.write_activity_templates() inserts');

-- Operations of some tables
SELECT be('owner', 'acme');
SELECT is(storekit.write_tool_calls('update', '{name}', '{}', jsonb_build_array(at('call', '{"name": "m", "method": "PUT"}')),
    ARRAY[ref('call')]),
    jsonb_build_object(ref('call'), 2), 'an update returns the next version');
SELECT results_eq($$SELECT name, method FROM tool_calls WHERE ref_id = ref('call')$$, $$VALUES ('m', 'GET')$$,
    'an update sets the given columns');
SELECT is(storekit.write_tool_calls('update', '{name}', '{}',
    jsonb_build_array(at('call', '{"name": "x", "expected_version": 1}')), ARRAY[ref('call')]),
    '{}', 'a row at another version is missing in the result');
SELECT is(storekit.write_tool_calls('update', '{}', '{}', jsonb_build_array(at('call')), ARRAY[ref('call')]),
    jsonb_build_object(ref('call'), 2),
    'an update without a change is no version');
SELECT is(storekit.write_tool_calls('delete', '{}', '{}', jsonb_build_array(at('call')), ARRAY[ref('call')]),
    jsonb_build_object(ref('call'), 3),
    'a soft delete is an update');
SELECT isnt((SELECT deleted_on FROM tool_calls WHERE ref_id = ref('call')), NULL, 'a soft-deleted row still exists');
SELECT is(storekit.write_tool_calls('update', '{name}', '{}', jsonb_build_array(at('call', '{"name": "x"}')),
    ARRAY[ref('call')]), '{}', 'a soft-deleted row cannot be updated');
SELECT is(storekit.write_tool_calls('delete', '{}', '{}', jsonb_build_array(at('call')), ARRAY[ref('call')]), '{}',
    'a soft-deleted row cannot be deleted again');
SELECT is(storekit.write_tool_calls('restore', '{}', '{}', jsonb_build_array(at('call')), ARRAY[ref('call')]),
    jsonb_build_object(ref('call'), 4), 'a restore undoes a soft delete');
SELECT is(storekit.write_tool_calls('restore', '{}', '{}', jsonb_build_array(at('call')), ARRAY[ref('call')]), '{}', 'once');
SELECT is(storekit.write_sessions('delete', '{}', '{}', jsonb_build_array(at('session')), ARRAY[ref('session')]),
    jsonb_build_object(ref('session'), 2),
    'without soft delete a row is deleted');
SELECT is_empty('SELECT FROM sessions', 'for good');
SELECT throws_ok($$SELECT storekit.write_contracts('update', '{title}', '{}',
    jsonb_build_array(at('contract', '{"title": "u"}')), ARRAY[ref('contract')])$$,
    '20000', NULL, 'an append-only table has no branch to update');
SELECT refused($$SELECT storekit.write_tool_calls('update', '{version}', '{}', '[]', '{}')$$, 'SK424', 'no column or part',
    'columns that storekit sets are refused');
SELECT refused($$SELECT storekit.write_tool_calls('update', '{}', '{name}', '[]', '{}')$$, 'SK424', 'no column or part',
    'a column is not a part');
SELECT is(storekit.write_tool_calls('lock', NULL, NULL, NULL, ARRAY[ref('call2')]), '{}', 'a lock returns nothing');
SELECT is((SELECT count(*) FROM tool_calls WHERE ref_id = ref('call2') AND xmax <> 0), 1::bigint, 'and locks');
SELECT be('owner', 'other');
SELECT is(storekit.write_tool_calls('update', '{name}', '{}', jsonb_build_array(at('call', '{"name": "x"}')),
    ARRAY[ref('call')]), '{}', 'a row of another tenant is missing');

-- How a writer is composed
RESET ROLE;
SELECT be('owner');
CREATE TABLE public."odd one" (LIKE public.contracts INCLUDING ALL, "select" text DEFAULT '$body$''', p_op text);
SELECT storekit.compose_writer('public."odd one"', 'odd', '{select,p_op}', '{}', true, false);
SELECT has_function('storekit', 'write_odd', '{text,text[],text[],jsonb,text[]}'::name[],
    'storekit.compose_writer() creates the function');
SELECT set_config('storekit.tenant', id('acme')::text, true);
ALTER TABLE public."odd one" ALTER title DROP NOT NULL, ALTER accepted_by DROP NOT NULL, ALTER accepted_on DROP NOT NULL;
SELECT storekit.write_odd('insert', '{p_op}', '{}',
    jsonb_build_array(at('odd', jsonb_build_object('id', id('odd'), 'p_op', 'x'))), ARRAY[ref('odd')]);
SELECT results_eq('SELECT "select", p_op FROM public."odd one"', $$VALUES ('$body$''', 'x')$$,
    'names and defaults of any kind are quoted');

SELECT * FROM finish();
