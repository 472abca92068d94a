-- The group roles and their rights.
SELECT plan(165);

SELECT is(to_jsonb(r) - 'rolname', '{"super": false, "bypass": false, "login": false, "createrole": false,
    "createdb": false, "replication": false}', rolname || ' is a group without attributes')
    FROM (SELECT rolname, rolsuper AS super, rolbypassrls AS bypass, rolcanlogin AS login, rolcreaterole AS createrole,
    rolcreatedb AS createdb,
                 rolreplication AS replication FROM pg_roles WHERE rolname ~ '^storekit_') AS r;
SELECT is((SELECT count(*) FROM pg_roles WHERE rolname ~ '^storekit_'), 6::bigint, 'there are six group roles');
SELECT is(pg_has_role('storekit_' || a, 'storekit_' || b, 'MEMBER'), a = b, format('%s is in %s only if it is the same', a, b))
    FROM unnest('{app,worker,auditor,reporter}'::text[]) AS a,
    unnest('{owner,reports,app,worker,auditor,reporter}'::text[]) AS b;

-- Schemas
SELECT schema_privs_are('storekit', 'storekit_' || name,
    '{USAGE}'::text[]) FROM unnest('{app,worker,auditor,reporter,reports}'::text[]) AS name;
SELECT schema_privs_are('report', 'storekit_reporter', '{USAGE}'::text[]);
SELECT schema_privs_are('report', 'storekit_reports', '{CREATE,USAGE}'::text[]);
SELECT schema_privs_are('report', 'storekit_' || name, '{}'::text[]) FROM unnest('{app,worker,auditor}'::text[]) AS name;
SELECT schema_privs_are('public', 'storekit_' || name,
    '{USAGE}'::text[]) FROM unnest('{app,worker,auditor,reporter,reports}'::text[]) AS name;

-- The ledger, its events and declarations: read access only
CREATE FUNCTION pg_temp.read_by(p_table regclass, VARIADIC p_roles text[]) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT grants_are(p_table, 'storekit_' || name, CASE WHEN name = ANY (p_roles) THEN 'SELECT' ELSE 'nothing' END)
    FROM unnest('{app,worker,auditor,reporter}'::text[]) AS name $$;
SELECT pg_temp.read_by(name, 'app', 'worker', 'auditor')
    FROM unnest('{storekit.write,storekit.part,storekit.event}'::regclass[]) AS name;
-- The worker moves events; everybody else reads them.
SELECT grants_are(name::regclass, 'storekit_' || role, coalesce(more, CASE WHEN role = ANY (readers) THEN 'SELECT' ELSE 'nothing' END))
    FROM (VALUES ('storekit.event_inbox', '{app,auditor}'::text[], 'SELECT, DELETE'),
        ('storekit.domain_event', '{app,auditor}', 'SELECT, INSERT'),
        ('storekit.tenant_head', '{auditor}', 'SELECT, INSERT, UPDATE'),
        ('storekit.event_head', '{app,auditor}', 'SELECT, UPDATE'),
        ('storekit.lease', '{}', 'SELECT, INSERT, UPDATE')) AS t (name, readers, worker)
    CROSS JOIN unnest('{app,worker,auditor,reporter}'::text[]) AS role
    CROSS JOIN LATERAL (SELECT CASE WHEN role = 'worker' THEN worker END) AS w (more);
SELECT pg_temp.read_by('storekit.move', 'app', 'worker');
SELECT pg_temp.read_by(name, 'worker')
    FROM unnest('{storekit.field,storekit.managed,storekit.event_type}'::regclass[]) AS name;
SELECT pg_temp.read_by(name, 'nobody')
    FROM unnest('{storekit.migration,storekit.domain_event_0001,report.llm_costs}'::regclass[]) AS name;
SELECT grants_are('storekit.event_inbox', 'storekit_reports',
    'SELECT (tenant_id, entity, ref_id, type, after, actor, login, occurred_on), '
    'INSERT (tenant_id, entity, ref_id, version, type, after, actor)');

-- Entities: only the app, and only the columns of the entity
SELECT grants_are(name, role, 'nothing')
    FROM unnest('{activity_outputs,activity_runs,activity_templates,blog_posts,contracts,
        llm_calls,sessions,tenants,tool_calls}'::regclass[]) AS name,
         unnest('{public,storekit_worker,storekit_auditor,storekit_reporter}'::text[]) AS role;
SELECT grants_are(name, 'storekit_reports', 'SELECT')
    FROM unnest('{activity_outputs,activity_runs,activity_templates,blog_posts,contracts,
        llm_calls,sessions,tenants,tool_calls}'::regclass[]) AS name;
SELECT grants_are(name::regclass, 'storekit_app', format('SELECT, INSERT (%1$s), UPDATE (%1$s), DELETE', columns)) FROM (VALUES
    ('activity_outputs', 'run_id, status, reviewed_on, reviewed_by'),
    ('activity_runs', 'activity, agent, attempt, status, started_on, finished_on, error'),
    ('blog_posts', 'output_id, title, status, channel, word_count, reviewed_on, reviewed_by, published_on, external_id'),
    ('sessions', 'token_digest, user_name, expires_on'),
    ('tenants', 'name, external_billing_id'),
    ('tool_calls', 'run_id, name, method, status, duration_ms')) AS v (name, columns);
SELECT grants_are('contracts', 'storekit_app', 'SELECT, INSERT (title, accepted_by, accepted_on)');
SELECT grants_are('llm_calls', 'storekit_app', 'SELECT, INSERT (run_id, model, input_tokens, output_tokens, cost)');
SELECT grants_are('activity_templates', 'storekit_app', 'SELECT');

-- Functions: who may call them, and how they are protected
CREATE TEMPORARY TABLE routine AS
    SELECT p.oid, p.proname::text COLLATE "default" AS name, p.prosecdef AS definer, p.proconfig AS settings,
           p.prosqlbody IS NOT NULL AS bound,
           pg_get_userbyid(p.proowner)::text AS owner, p.pronamespace::regnamespace::text AS schema
    FROM pg_proc AS p WHERE p.pronamespace IN ('storekit'::regnamespace, 'report'::regnamespace);
SELECT results_eq($$SELECT role, string_agg(name, ', ' ORDER BY name) FROM routine,
        unnest('{public,storekit_app,storekit_worker,storekit_auditor,storekit_reporter,storekit_reports}'::text[]) AS role
    WHERE has_function_privilege(role, oid, 'EXECUTE') AND role <> owner GROUP BY role ORDER BY role$$,
    $$VALUES ('storekit_app', 'abandon_v1, commit_v1, current_actor, current_tenant, lookup_v1, new_id, new_ref_id, now, '
            'renew_v1, stage_v1, transition_v1'),
        ('storekit_auditor', 'current_actor, current_tenant, new_id, new_ref_id, now'),
        ('storekit_reporter', 'read_v1'),
        ('storekit_reports', 'current_actor, current_tenant, new_ref_id, nil, now'),
        ('storekit_worker', 'add_partition_v1, chain, chain_link, current_actor, current_tenant, hash_line, hash_time, lead_v1, '
            'new_id, new_ref_id, now, oldest_transaction, relay_health_v1, relay_v1, resign_v1, sequence_v1, wall_clock')$$,
    'each role may call these functions and no others');
SELECT is_empty($$SELECT name FROM routine
    WHERE owner <> CASE schema WHEN 'report' THEN 'storekit_reports' ELSE 'storekit_owner' END$$,
    'a function belongs to the owner of its schema''s data, so forced policies hold inside it');
SELECT is_empty($$SELECT name FROM routine
    WHERE NOT bound AND name <> 'chain'  -- an aggregate: its function is bound
      AND settings && '{"search_path=pg_catalog, storekit, pg_temp","search_path=pg_catalog, pg_temp"}' IS NOT TRUE$$,
    'a function pins its search path, unless its body was resolved when it was created');
SELECT results_eq('SELECT name FROM routine WHERE definer ORDER BY name',
    $$SELECT unnest('{abandon_v1,add_partition_v1,check_move,commit_v1,lookup_v1,read_v1,record_delete,record_insert,record_update,renew_v1,
        stage_v1,transition_v1}'::text[])$$,
    'only these functions run as their owner');

SELECT * FROM finish();
