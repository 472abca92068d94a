-- Entering a tenant's transaction, and finding the table that a call names.
SELECT plan(26);

-- enter
SELECT be('owner');
SELECT lives_ok($$SELECT storekit.enter(id('acme'), 'agent:writer')$$, 'a tenant and an actor enter');
SELECT is(storekit.current_tenant(), id('acme'), 'the tenant is the transaction''s');
SELECT is(storekit.current_actor(), 'agent:writer', 'so is the actor');
SELECT lives_ok($$SELECT storekit.enter(id('acme'), 'agent:reader')$$, 'the same tenant enters again');
SELECT throws_ok($$SELECT storekit.enter(id('other'), 'agent:writer')$$, 'SK004', NULL, 'a second tenant does not enter');
SELECT be('owner');
SELECT throws_ok($$SELECT storekit.enter(NULL, 'agent:writer')$$, 'SK400', NULL, 'nobody enters without a tenant');
SELECT throws_ok($$SELECT storekit.enter(id('acme'), NULL)$$, 'SK400', NULL, 'nobody enters without an actor');
SELECT throws_ok($$SELECT storekit.enter(id('acme'), '')$$, 'SK400', NULL, 'an empty actor is none');

-- The nil tenant is for logins that may become the owner.
SELECT lives_ok('SELECT storekit.enter(storekit.nil(), ''admin'')', 'who may become the owner enters the nil tenant');
RESET ROLE;
CREATE ROLE tap_login;
GRANT storekit_app TO tap_login;
SET SESSION AUTHORIZATION tap_login;
SELECT set_config('storekit.tenant', '', true);
SELECT throws_ok($$SELECT storekit.renew_v1('00000000-0000-0000-0000-000000000000', 'x', id('w'), '1 minute')$$, 'SK403', NULL,
    'a login of the app does not');
RESET SESSION AUTHORIZATION;

-- find_managed
SELECT is(storekit.find_managed('public.tool_calls'), storekit.find_managed('tool_calls'), 'public is understood');
SELECT is(to_jsonb(storekit.find_managed('tool_calls')),
    '{"entity": "tool_calls", "schema_name": "public", "table_name": "tool_calls", "mutable": true, "soft_delete": true,
        "scope": "tenant"}',
    'storekit.find_managed() tells what a table is');
SELECT throws_ok('SELECT storekit.find_managed(''pg_class'')', 'SK400', NULL, 'a table that is not managed is not found');
SELECT throws_ok('SELECT storekit.find_managed(''storekit.part'')', 'SK400', NULL, 'nor is one of the ledger');
SELECT throws_ok('SELECT storekit.find_managed(NULL)', 'SK400', 'table null is not managed by storekit', 'nor is none');

-- find_writable
SELECT be('owner', 'acme');
SELECT is((storekit.find_writable('tool_calls')).entity, 'tool_calls', 'a tenant writes its own tables');
SELECT throws_ok('SELECT storekit.find_writable(''activity_templates'')', 'SK403', NULL,
    'a tenant does not write a global table');
SELECT set_config('storekit.tenant', storekit.nil()::text, true);
SELECT is((storekit.find_writable('activity_templates')).scope, 'global', 'the nil tenant writes global tables');
SELECT throws_ok('SELECT storekit.find_writable(''tool_calls'')', 'SK403', NULL, 'the nil tenant writes no others');
SELECT throws_ok('SELECT storekit.find_writable(''nothing'')', 'SK400', NULL, 'what is not managed is not writable');

-- first_refused
SELECT be('app');
SELECT save_call('call');
SELECT be('owner', 'acme');
SELECT is(storekit.first_refused('tool_calls', 'update', jsonb_build_array(at('call', '{"expected_version": 1}'))), NULL,
    'a row at its version is not refused');
SELECT is(storekit.first_refused('tool_calls', 'update', jsonb_build_array(at('call', '{"expected_version": 7}'))),
    at('call', '{"entity": "tool_calls", "expected": 7, "found": 1}'), 'a row that moved on is');
SELECT is(storekit.first_refused('tool_calls', 'update', jsonb_build_array(at('none'))),
    at('none', '{"entity": "tool_calls", "expected": null, "found": null}'), 'a row that is not there is');
SELECT is(storekit.first_refused('tool_calls', 'restore', jsonb_build_array(at('call'))) -> 'found', 'null'::jsonb,
    'a row that lives is not there to restore');
SELECT is(storekit.first_refused('tool_calls', 'update', jsonb_build_array(at('none')), ARRAY[ref('none')]), NULL,
    'a row that was done is not asked for');
SELECT be('owner', 'other');
SELECT is(storekit.first_refused('tool_calls', 'update', jsonb_build_array(at('call'))) -> 'found', 'null'::jsonb,
    'another tenant''s row is not there');

SELECT * FROM finish();
