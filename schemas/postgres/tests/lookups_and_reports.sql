-- Access across tenants, each through one function: the look-up of a digest, and reports.
SELECT plan(31);

-- lookup_v1
SELECT function_is('storekit.lookup_v1(p_entity text, p_value text)', 'jsonb', 'definer volatile',
    'storekit path, pinned, lock_timeout=5s', 'app');
SELECT be('app', 'acme');
INSERT INTO sessions (token_digest, user_name, expires_on) VALUES ('one', 'u', storekit.now()), ('twice', 'u', storekit.now());
SELECT be('app', 'other');
INSERT INTO sessions (token_digest, user_name, expires_on) VALUES ('twice', 'v', storekit.now());
SELECT be('app');
SELECT is(storekit.lookup_v1('sessions', 'one'),
    (SELECT jsonb_build_object('tenant_id', id('acme'), 'ref_id', ref_id) FROM be('app', 'acme'),
    sessions WHERE token_digest = 'one'),
    'a digest returns its row and tenant');
SELECT be('app');
SELECT is(storekit.lookup_v1('sessions', 'one') - 'ref_id', jsonb_build_object('tenant_id', id('acme')),
    'a look-up works without a tenant');
SELECT is(storekit.current_tenant(), NULL, 'a look-up does not set the tenant');
SELECT is(current_setting('storekit.lookup'), '', 'a look-up resets its setting');
SELECT is(storekit.lookup_v1('sessions', 'none'), NULL, 'an unknown digest returns NULL');
SELECT is(storekit.lookup_v1('sessions', 'twice'), NULL, 'a digest of two tenants returns NULL');
SELECT is(storekit.lookup_v1('sessions', 'o%'), NULL, 'a digest is not a pattern');
SELECT refused($$SELECT storekit.lookup_v1('sessions', '')$$, 'SK400', 'the value is empty', 'an empty value is refused');
SELECT refused($$SELECT storekit.lookup_v1('sessions', NULL)$$, 'SK400', 'the value is empty', 'NULL is refused');
SELECT refused($$SELECT storekit.lookup_v1('tool_calls', 'x')$$, 'SK400', 'has no look-up column',
    'a table without a look-up column is refused');
SELECT refused($$SELECT storekit.lookup_v1('pg_catalog.pg_class', 'x')$$, 'SK424', 'is not managed', 'a table that is not managed is refused');
SELECT set_config('storekit.lookup', 'one', true);
SELECT is_empty('SELECT FROM sessions', 'the setting alone shows no rows to the app');

-- report.read_v1
RESET ROLE;
SELECT function_is('report.read_v1(p_actor text, p_report text, p_read text DEFAULT NULL::text)',
    'SETOF jsonb', 'definer volatile',
    'catalog path, TimeZone=UTC, DateStyle=ISO, MDY, IntervalStyle=postgres, bytea_output=hex, extra_float_digits=1, '
    'standard_conforming_strings=on, row_security=on, enable_seqscan=on, enable_sort=on, plan_cache_mode=auto, jit=off',
    'reporter', 'storekit_reports');
SELECT views_are('report', '{llm_costs}'::name[]);
SELECT be('app', 'acme');
SELECT commit('a', run('run'));
SELECT set_config('storekit.tenant', id('acme')::text, true);
INSERT INTO llm_calls (run_id, model, input_tokens, output_tokens, cost) VALUES (id(ref('run')), 'm', 10, 20, 0.5),
    (id(ref('run')), 'm', 1, 2, 0.25);
SELECT be('app');
SELECT storekit.commit_v1(id('other'), 'a', id('b'), NULL, NULL, '[]', jsonb_build_array(run('run2')));
SELECT set_config('storekit.tenant', id('other')::text, true);
INSERT INTO llm_calls (run_id, model, input_tokens, output_tokens, cost) VALUES (id(ref('run2')), 'm', 1, 1, 1);
SELECT be('reporter');
SELECT is_empty($$SELECT report.read_v1('bob', 'llm_costs', ref('read'))$$, 'the first call records the read');
SELECT refused($$SELECT report.read_v1('bob', 'llm_costs', ref('read'))$$, 'SK400', 'is not committed yet',
    'a report is not read in the transaction of its event');
SELECT refused($$SELECT report.read_v1('bob', 'llm_costs', 'x')$$, 'SK400', 'must be a ULID', 'the id of a read is a ULID');
SELECT refused('SELECT FROM report.llm_costs', '42501', 'llm_costs', 'the reporter cannot select from the view');
SELECT refused('SELECT FROM public.llm_calls', '42501', 'permission denied', 'the reporter cannot select from its tables');
SELECT refused('SELECT report.read_v1('''', ''llm_costs'')', 'SK400', 'an actor is required', 'a report needs an actor');
SELECT refused('SELECT report.read_v1(NULL, ''llm_costs'')', 'SK400', 'an actor is required', 'the actor is not NULL');
SELECT refused(format('SELECT report.read_v1(''bob'', %L)', name), 'SK400', 'there is no report',
    coalesce(name, 'null') || ' is not a report')
    FROM unnest(ARRAY['none', 'storekit.part', 'public.sessions', 'llm_costs; DROP TABLE sessions', NULL]) AS name;
RESET ROLE;
SELECT results_eq($$SELECT tenant_id, entity, type, actor, login = session_user
    FROM storekit.event_inbox WHERE type = 'report.read'$$,
    $$VALUES (storekit.nil(), 'report.llm_costs', 'report.read', 'bob', true)$$, 'each read is an event');
SELECT be('reports');
SELECT refused(format('INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, actor)
    VALUES (%L, %L, ''x'', 1, %L, ''x'')', tenant, entity, type),
    '42501', 'row-level security', 'the reports role cannot write other events: ' || type)
    FROM (VALUES (id('acme'), 'report.x', 'report.read'), (storekit.nil(), 'sessions', 'report.read'),
    (storekit.nil(), 'report.x', 'sessions.deleted')) AS v (tenant, entity, type);

SELECT * FROM finish();
