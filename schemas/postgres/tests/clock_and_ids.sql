-- The clock, the scope, ids and names, which all other functions use.
SELECT plan(29);

-- Clock
SELECT function_is('storekit.now()', 'timestamp with time zone', 'invoker stable', 'bound', 'app, worker, auditor, reports');
SELECT is(storekit.now(), transaction_timestamp(), 'the time is that of the transaction');
SELECT later('1 hour');
SELECT is(storekit.now(), transaction_timestamp() + interval '1 hour', 'a test can move storekit.now()');
SELECT later('0');

SELECT is(storekit.purge_delay(), interval '7 days', 'storekit.purge_delay() is the longest life of a signed URL');

-- Scope
SELECT function_is('storekit.current_tenant()', 'uuid', 'invoker stable', 'bound', 'app, worker, auditor, reports');
SELECT is(storekit.current_tenant(), NULL, 'without the setting there is no tenant');
SELECT set_config('storekit.tenant', '', true);
SELECT is(storekit.current_tenant(), NULL, 'with an empty setting there is no tenant');
SELECT set_config('storekit.tenant', id('acme')::text, true);
SELECT is(storekit.current_tenant(), id('acme'), 'the tenant is the value of the setting');
SELECT set_config('storekit.tenant', 'acme', true);
SELECT throws_ok('SELECT storekit.current_tenant()', '22P02', NULL, 'a tenant that is not a uuid is refused');

SELECT function_is('storekit.current_actor()', 'text', 'invoker stable', 'bound', 'app, worker, auditor, reports');
SELECT is(storekit.current_actor(), session_user::text, 'the default actor is the login');
SELECT set_config('storekit.actor', 'agent:writer', true);
SELECT is(storekit.current_actor(), 'agent:writer', 'the actor is the value of the setting');

SELECT function_is('storekit.nil()', 'uuid', 'invoker immutable', 'bound', 'reports');
SELECT is(storekit.nil(), '00000000-0000-0000-0000-000000000000', 'global rows belong to the nil tenant');

-- Ids
SELECT function_is('storekit.new_id()', 'uuid', 'invoker volatile', 'bound', 'app, worker, auditor');
SELECT matches(storekit.new_id()::text, '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
    'an id is a uuid7');
SELECT is((SELECT count(DISTINCT storekit.new_id()) FROM generate_series(1, 1000)), 1000::bigint, 'ids are unique');

SELECT is(storekit.id_time('018bcfe5-6800-7000-8000-000000000000'), '2023-11-14 22:13:20+00', 'an id contains its time');
SELECT cmp_ok(abs(extract(epoch FROM storekit.id_time(storekit.new_id()) - storekit.now())), '<', 0.001::numeric,
    'a new id is of this millisecond');
SELECT later('-1 day');
SELECT cmp_ok(abs(extract(epoch FROM storekit.id_time(storekit.new_id()) - storekit.now())), '<', 0.001::numeric,
    'ids use storekit.now()');
SELECT later('0');

SELECT function_is('storekit.new_ref_id()', 'text', 'invoker volatile', 'bound', 'app, worker, auditor, reports');
SELECT matches(storekit.new_ref_id(), '^[0-7][0-9A-HJKMNP-TV-Z]{25}$', 'a ref_id is a ULID');
SELECT is((SELECT count(DISTINCT storekit.new_ref_id()) FROM generate_series(1, 1000)), 1000::bigint, 'ref_ids are unique');
SELECT is(left(storekit.new_ref_id(), 10), left(storekit.new_ref_id(), 10), 'its first ten characters are the time');
SELECT later('2023-11-14 22:13:20+00' - transaction_timestamp());
SELECT is(left(storekit.new_ref_id(), 10), '01HF7YAT00', 'the time is milliseconds in Crockford''s alphabet');
SELECT later('0');

-- Names
SELECT is(storekit.entity_name('public.tool_calls'), 'tool_calls', 'the name of a table in public has no schema');
SELECT is(storekit.entity_name('tool_calls'), 'tool_calls', 'a name without schema is unchanged');
SELECT is(storekit.entity_name('billing.invoices'), 'billing.invoices', 'any other schema is part of the name');
SELECT is(storekit.entity_name('publicity.posts'), 'publicity.posts', 'a schema whose name begins with public is another schema');

SELECT * FROM finish();
