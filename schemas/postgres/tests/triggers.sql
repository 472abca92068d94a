-- The triggers of the agency's tables. Their effects are tested in events, guards and parts.
SELECT plan(57);

SELECT triggers_are('public', name, '{storekit_touch,storekit_insert,storekit_update,storekit_delete}'::name[])
    FROM unnest('{activity_templates,sessions,tenants}'::name[]) AS name;
SELECT triggers_are('public', name, '{storekit_touch,storekit_insert,storekit_update,storekit_delete,storekit_begin,
    storekit_move}'::name[])
    FROM unnest('{activity_outputs,activity_runs,blog_posts,tool_calls}'::name[]) AS name;
SELECT triggers_are('public', name, '{storekit_touch,storekit_insert,storekit_update,storekit_delete,
    storekit_append_only,storekit_keep}'::name[])
    FROM unnest('{contracts,llm_calls}'::name[]) AS name;

-- Versions; whether the table has updated_on and updated_by
SELECT trigger_does(name, 'storekit_touch', 'BEFORE UPDATE ROW storekit.touch(''t'', ''t'')')
    FROM unnest('{activity_outputs,activity_runs,activity_templates,blog_posts,sessions,tenants,tool_calls}'::text[]) AS name;
SELECT trigger_does(name, 'storekit_touch',
    'BEFORE UPDATE ROW storekit.touch(''f'', ''t'')') FROM unnest('{contracts,llm_calls}'::text[]) AS name;

-- Events; entity, state and parts
CREATE FUNCTION pg_temp.arguments(p_table text) RETURNS text LANGUAGE sql
    RETURN (SELECT string_agg(quote_literal(a), ', ') FROM unnest(CASE p_table
        WHEN 'activity_outputs' THEN '{activity_outputs,status,content,metadata}'
        WHEN 'activity_runs' THEN '{activity_runs,status}'
        WHEN 'blog_posts' THEN '{blog_posts,status}'
        WHEN 'contracts' THEN '{contracts,"",pdf}'
        WHEN 'tool_calls' THEN '{tool_calls,status,payload}'
        ELSE format('{%s,""}', p_table) END::text[]) AS a);
SELECT trigger_does(name, 'storekit_insert',
    format('AFTER INSERT STATEMENT storekit.record_insert(%s)', pg_temp.arguments(name)))
    FROM unnest('{activity_outputs,activity_runs,activity_templates,blog_posts,contracts,
        llm_calls,sessions,tenants,tool_calls}'::text[]) AS name;
SELECT trigger_does(name, 'storekit_update',
    format('AFTER UPDATE STATEMENT storekit.record_update(%s)', pg_temp.arguments(name)))
    FROM unnest('{activity_outputs,activity_runs,activity_templates,blog_posts,contracts,
        llm_calls,sessions,tenants,tool_calls}'::text[]) AS name;
SELECT trigger_does(name, 'storekit_delete',
    format('AFTER DELETE STATEMENT storekit.record_delete(%s)', pg_temp.arguments(name)))
    FROM unnest('{activity_outputs,activity_runs,activity_templates,blog_posts,contracts,
        llm_calls,sessions,tenants,tool_calls}'::text[]) AS name;

-- Append-only rows
SELECT trigger_does(name, 'storekit_append_only', 'AFTER UPDATE ROW storekit.refuse_change(' || arguments || ')')
    FROM (VALUES ('contracts', '''contracts'', ''pdf'''), ('llm_calls', '''llm_calls''')) AS v (name, arguments);
SELECT trigger_does(name, 'storekit_keep', 'BEFORE DELETE ROW storekit.refuse_change(' || arguments || ')')
    FROM (VALUES ('contracts', '''contracts'', ''pdf'''), ('llm_calls', '''llm_calls''')) AS v (name, arguments);

-- State machines
SELECT trigger_does(name, 'storekit_begin', format('BEFORE INSERT ROW storekit.check_move(%L, ''status'')', name))
    FROM unnest('{activity_outputs,activity_runs,blog_posts,tool_calls}'::text[]) AS name;
SELECT trigger_does(name, 'storekit_move', format('BEFORE UPDATE ROW storekit.check_move(%L, ''status'')', name))
    FROM unnest('{activity_outputs,activity_runs,blog_posts,tool_calls}'::text[]) AS name;

SELECT * FROM finish();
