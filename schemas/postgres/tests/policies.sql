-- The policies of every table, and their effects.
SELECT plan(86);

-- The ledger and its events: tenants by setting; worker and auditor by role.
SELECT policies_are('storekit', name, '{tenant,worker,auditor}'::name[])
    FROM unnest('{write,part,tenant_head}'::name[]) AS name;
SELECT policies_are('storekit', 'event_inbox', '{tenant,worker,auditor,backfill,report,recorded}'::name[]);
SELECT policies_are('storekit', 'domain_event', '{tenant,worker,auditor,recorded}'::name[]);
SELECT policy_is(name, 'tenant', 'FOR ALL TO PUBLIC USING (tenant_id = storekit.current_tenant())')
    FROM unnest('{storekit.write,storekit.part,storekit.event_inbox,storekit.domain_event,
        storekit.tenant_head}'::regclass[]) AS name;
SELECT policy_is(name, 'worker', 'FOR ALL TO storekit_worker USING (true)')
    FROM unnest('{storekit.write,storekit.part,storekit.event_inbox,storekit.domain_event,
        storekit.tenant_head}'::regclass[]) AS name;
SELECT policy_is(name, 'auditor', 'FOR SELECT TO storekit_auditor USING (true)')
    FROM unnest('{storekit.write,storekit.part,storekit.event_inbox,storekit.domain_event,
        storekit.tenant_head}'::regclass[]) AS name;
SELECT policy_is('storekit.event_inbox', 'backfill', 'FOR INSERT TO storekit_owner WITH CHECK (true)');
SELECT policy_is('storekit.event_inbox', 'report', 'FOR INSERT TO storekit_reports WITH CHECK ('
    || 'tenant_id = storekit.nil() AND starts_with(entity, ''report.''::text) AND type = ''report.read''::text)');
SELECT policy_is(name, 'recorded', 'FOR SELECT TO storekit_reports USING ('
    || 'tenant_id = storekit.nil() AND type = ''report.read''::text)')
    FROM unnest('{storekit.event_inbox,storekit.domain_event}'::regclass[]) AS name;
SELECT policies_are('storekit', 'domain_event_0001', '{}'::name[], 'a partition has no policies, as it is read through its parent');

-- Entities
SELECT policies_are('public', name, '{tenant,report}'::name[])
    FROM unnest('{activity_outputs,activity_runs,blog_posts,contracts,llm_calls,tenants,tool_calls}'::name[]) AS name;
SELECT policies_are('public', 'sessions', '{tenant,report,lookup}'::name[]);
SELECT policies_are('public', 'activity_templates', '{tenant,report,everybody}'::name[]);
SELECT policy_is(name, 'tenant', 'FOR ALL TO PUBLIC USING (tenant_id = storekit.current_tenant())')
    FROM unnest('{activity_outputs,activity_runs,activity_templates,blog_posts,contracts,
        llm_calls,sessions,tenants,tool_calls}'::regclass[]) AS name;
SELECT policy_is(name, 'report', 'FOR SELECT TO storekit_reports USING (true)')
    FROM unnest('{activity_outputs,activity_runs,activity_templates,blog_posts,contracts,
        llm_calls,sessions,tenants,tool_calls}'::regclass[]) AS name;
SELECT policy_is('sessions', 'lookup',
    'FOR SELECT TO storekit_owner USING (token_digest = NULLIF(current_setting(''storekit.lookup''::text, true), ''''::text))');
SELECT policy_is('activity_templates', 'everybody', 'FOR SELECT TO PUBLIC USING (true)');

-- They are forced: they apply to the owner too.
SELECT is(relrowsecurity AND relforcerowsecurity, true, format('%s enables and forces row level security', c.oid::regclass))
    FROM pg_class AS c
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN ('storekit'::regnamespace, 'public'::regnamespace)
      AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id');

-- Effects: a tenant sees its own rows only, and cannot write rows of others.
SELECT be('app');
SELECT save_call('ours');
SELECT be('app', 'acme');
INSERT INTO sessions (token_digest, user_name, expires_on) VALUES ('digest', 'u', storekit.now());
RESET ROLE;
INSERT INTO activity_templates (tenant_id, name, agent, instructions) VALUES (storekit.nil(), 'n', 'a', 'i');
INSERT INTO storekit.domain_event (pos, tenant_id, seq, id, event_id, entity, ref_id, version, type, actor, login, occurred_on,
    sequenced_on, parts, digest, prev_hash, hash)
    SELECT 1, tenant_id, 1, id, event_id, entity, ref_id, version, type, actor, login, occurred_on, occurred_on, '{}', '', '', ''
    FROM storekit.event_inbox WHERE tenant_id = id('acme') LIMIT 1;
INSERT INTO storekit.tenant_head VALUES (id('acme'), 1, '\x00');
CREATE FUNCTION pg_temp.seen() RETURNS text[] LANGUAGE plpgsql AS $$
    DECLARE
        v_name text;
        v_seen text[] := '{}';
        v_any  boolean;
    BEGIN
        FOREACH v_name IN ARRAY '{activity_runs,tool_calls,sessions,activity_templates,storekit.write,storekit.part,
            storekit.event_inbox,storekit.domain_event,
            storekit.tenant_head,storekit.event}'::text[] LOOP
            BEGIN
                EXECUTE format('SELECT EXISTS (SELECT FROM %s)', v_name) INTO v_any;
                v_seen := v_seen || CASE WHEN v_any THEN ARRAY[v_name] ELSE '{}' END;
            EXCEPTION WHEN insufficient_privilege THEN
                NULL;
            END;
        END LOOP;
        RETURN v_seen;
    END $$;
SELECT be('app', 'acme');
SELECT is(pg_temp.seen(), '{activity_runs,tool_calls,sessions,activity_templates,storekit.write,storekit.part,
    storekit.event_inbox,storekit.domain_event,storekit.event}',
    'tenant: the app sees its own rows');
SELECT be('app', 'other');
SELECT is(pg_temp.seen(), '{activity_templates}', 'everybody: another tenant sees global rows only');
SELECT be('app');
SELECT is(pg_temp.seen(), '{activity_templates}', 'without a tenant only global rows are visible');
SELECT be('owner', 'other');
SELECT is(pg_temp.seen(), '{activity_templates}', 'the owner, as which functions run, sees global rows only');
SELECT set_config('storekit.lookup', 'digest', true);
SELECT is(pg_temp.seen(), '{sessions,activity_templates}', 'lookup: the owner sees the row with the digest');
SELECT be('worker');
SELECT is(pg_temp.seen(), '{storekit.write,storekit.part,storekit.event_inbox,storekit.domain_event,
    storekit.tenant_head,storekit.event}', 'worker: the ledger of all tenants');
SELECT be('auditor');
SELECT is(pg_temp.seen(), '{storekit.write,storekit.part,storekit.event_inbox,storekit.domain_event,
    storekit.tenant_head,storekit.event}', 'auditor: the ledger of all tenants');
SELECT be('reporter');
SELECT is(pg_temp.seen(), '{}', 'the reporter sees no table');
SELECT be('reports');
SELECT is(pg_temp.seen(), '{activity_runs,tool_calls,sessions,activity_templates}', 'report: the entities of all tenants');

SELECT be('owner', 'acme');
SELECT refused($$INSERT INTO tenants (tenant_id, id, name) VALUES (id('other'), id('other'), 'x')$$, '42501',
    'row-level security', 'a row of another tenant cannot be inserted');
SELECT refused($$INSERT INTO storekit.write (tenant_id, write_id, state, actor, finished_on)
    VALUES (id('other'), id('w'), 'aborted', 'x', now())$$, '42501', 'row-level security',
    'a write of another tenant cannot be inserted');
SELECT lives_ok($$INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type)
    VALUES (id('other'), 'x', 'x', 1, 'x')$$,
    'backfill: a migration can record events of every tenant');
SELECT results_eq('WITH done AS (UPDATE activity_runs SET error = ''x'' RETURNING 1) SELECT count(*) FROM done',
    ARRAY[1::bigint], 'an update changes the tenant''s own rows');
SELECT be('owner', 'other');
SELECT results_eq('WITH done AS (UPDATE activity_runs SET error = ''x'' RETURNING 1) SELECT count(*) FROM done',
    ARRAY[0::bigint], 'an update changes no rows of other tenants');
SELECT results_eq('WITH done AS (DELETE FROM sessions RETURNING 1) SELECT count(*) FROM done', ARRAY[0::bigint],
    'a delete removes no rows that only a look-up shows');
SELECT results_eq('WITH done AS (DELETE FROM activity_templates RETURNING 1) SELECT count(*) FROM done', ARRAY[0::bigint],
    'a delete removes no global rows');

SELECT * FROM finish();
