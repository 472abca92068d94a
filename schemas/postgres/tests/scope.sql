-- Setting a transaction's tenant, and finding the table of a call.
SELECT plan(26);

-- enter
SELECT be('owner');
SELECT lives_ok($$SELECT storekit.enter(id('acme'), 'agent:writer')$$, 'a tenant and an actor enter');
SELECT is(storekit.current_tenant(), id('acme'), 'enter sets the tenant of the transaction');
SELECT is(storekit.current_actor(), 'agent:writer', 'enter sets the actor of the transaction');
SELECT lives_ok($$SELECT storekit.enter(id('acme'), 'agent:reader')$$, 'the same tenant can enter again');
SELECT throws_ok($$SELECT storekit.enter(id('other'), 'agent:writer')$$, 'SK004', NULL, 'a second tenant cannot enter');
SELECT be('owner');
SELECT throws_ok($$SELECT storekit.enter(NULL, 'agent:writer')$$, 'SK400', NULL, 'a tenant is required');
SELECT throws_ok($$SELECT storekit.enter(id('acme'), NULL)$$, 'SK400', NULL, 'an actor is required');
SELECT throws_ok($$SELECT storekit.enter(id('acme'), '')$$, 'SK400', NULL, 'an empty actor is refused');

-- The nil tenant is for logins that may become the owner.
SELECT lives_ok('SELECT storekit.enter(storekit.nil(), ''admin'')', 'a member of the owner can enter the nil tenant');
RESET ROLE;
CREATE ROLE tap_login;
GRANT storekit_app TO tap_login;
SET SESSION AUTHORIZATION tap_login;
SELECT set_config('storekit.tenant', '', true);
SELECT throws_ok($$SELECT storekit.renew_v1('00000000-0000-0000-0000-000000000000', 'x', id('w'), '1 minute')$$, 'SK403', NULL,
    'a login of the app cannot enter the nil tenant');
RESET SESSION AUTHORIZATION;

-- find_managed
SELECT is(storekit.find_managed('public.tool_calls'), storekit.find_managed('tool_calls'), 'a name with schema public is accepted');
SELECT is(to_jsonb(storekit.find_managed('tool_calls')),
    '{"entity": "tool_calls", "schema_name": "public", "table_name": "tool_calls", "mutable": true, "soft_delete": true,
        "scope": "tenant", "reason_required": false}',
    'storekit.find_managed() returns the properties of a table');
SELECT throws_ok('SELECT storekit.find_managed(''pg_class'')', 'SK424', NULL, 'a table that is not managed is not found');
SELECT throws_ok('SELECT storekit.find_managed(''storekit.part'')', 'SK424', NULL, 'a table of the ledger is not found');
SELECT throws_ok('SELECT storekit.find_managed(NULL)', 'SK424', 'table null does not exist', 'NULL is refused');

-- find_writable
SELECT be('owner', 'acme');
SELECT is((storekit.find_writable('tool_calls')).entity, 'tool_calls', 'a tenant can write its own tables');
SELECT throws_ok('SELECT storekit.find_writable(''activity_templates'')', 'SK403', NULL,
    'a tenant cannot write a global table');
SELECT set_config('storekit.tenant', storekit.nil()::text, true);
SELECT is((storekit.find_writable('activity_templates')).scope, 'global', 'the nil tenant can write global tables');
SELECT throws_ok('SELECT storekit.find_writable(''tool_calls'')', 'SK403', NULL, 'the nil tenant cannot write other tables');
SELECT throws_ok('SELECT storekit.find_writable(''nothing'')', 'SK424', NULL, 'a table that is not managed is not writable');

-- first_refused
SELECT be('app');
SELECT save_call('call');
SELECT be('owner', 'acme');
SELECT is(storekit.first_refused('tool_calls', 'update', jsonb_build_array(at('call', '{"expected_version": 1}'))), NULL,
    'a row at the expected version is accepted');
SELECT is(storekit.first_refused('tool_calls', 'update', jsonb_build_array(at('call', '{"expected_version": 7}'))),
    at('call', '{"entity": "tool_calls", "expected": 7, "found": 1}'), 'a row at another version is refused');
SELECT is(storekit.first_refused('tool_calls', 'update', jsonb_build_array(at('none'))),
    at('none', '{"entity": "tool_calls", "expected": null, "found": null}'), 'a missing row is refused');
SELECT is(storekit.first_refused('tool_calls', 'restore', jsonb_build_array(at('call'))) -> 'found', 'null'::jsonb,
    'a row that is not deleted cannot be restored');
SELECT is(storekit.first_refused('tool_calls', 'update', jsonb_build_array(at('none')), ARRAY[ref('none')]), NULL,
    'a row that is already written is not checked');
SELECT be('owner', 'other');
SELECT is(storekit.first_refused('tool_calls', 'update', jsonb_build_array(at('call'))) -> 'found', 'null'::jsonb,
    'a row of another tenant is missing');

SELECT * FROM finish();
