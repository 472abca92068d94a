-- Append-only rows and state machines: enforced by triggers for every role.
SELECT plan(34);

-- refuse_change, guard_append_only
SELECT be('app');
SELECT stage('w', part('contracts', 'c.pdf'), part('contracts', 'd.pdf'));
SELECT storekit.commit_v1(id('acme'), 'a', id('w'), NULL, NULL, uploaded('c.pdf', 'd.pdf'),
    jsonb_build_array(op('insert', 'contracts', VARIADIC ARRAY(
        SELECT at(name, jsonb_build_object('title', 't', 'accepted_by', 'x', 'accepted_on', now(), 'pdf_ref', id(name || '.pdf')))
        FROM unnest('{c,d}'::text[]) AS name))));
RESET ROLE;
SELECT refused(format('UPDATE contracts SET %s WHERE ref_id = ref(''c'')', change), 'SK405', 'contracts is append-only: .* may not be updated',
    'not even by a superuser: ' || change)
    FROM unnest(ARRAY['title = ''u''', 'accepted_by = ''y''', 'accepted_on = now() + ''1 s''', 'created_on = now() + ''1 s''',
        'created_by = ''y''', 'pdf_ref = id(''d.pdf'')']) AS change;
SELECT refused('DELETE FROM contracts', 'SK405', 'may not be deleted', 'storekit_keep: a row cannot be deleted');
SELECT lives_ok('UPDATE contracts SET title = title', 'an update to the same values is allowed');
SELECT lives_ok('UPDATE contracts SET pdf_ref = NULL', 'a ref can be cleared');
SELECT be('owner');
CREATE TABLE public.parents (id uuid PRIMARY KEY);
CREATE TABLE public.children (LIKE public.contracts INCLUDING ALL, deleted_on timestamptz, deleted_by text,
    parent uuid REFERENCES public.parents ON DELETE CASCADE);
SELECT storekit.guard_append_only('children', 'children', '{pdf}', false);
SELECT triggers_are('public', 'children', '{storekit_append_only,storekit_keep}'::name[]);
INSERT INTO public.parents VALUES (id('p'));
INSERT INTO public.children (tenant_id, title, accepted_by, accepted_on, parent) VALUES (id('acme'), 't', 'x', now(), id('p'));
SELECT refused('DELETE FROM children', 'SK405', 'may not be deleted', 'a child cannot be deleted');
SELECT refused('UPDATE children SET parent = NULL', 'SK405', 'may not be updated', 'the reference of a child cannot be changed');
SELECT lives_ok('UPDATE children SET version = 2, deleted_on = now(), deleted_by = ''x''', 'a soft delete is allowed');
SELECT lives_ok('ALTER TABLE children DROP title', 'a migration can alter an append-only table');
SELECT lives_ok('DELETE FROM parents', 'ON DELETE CASCADE deletes children');
SELECT is_empty('SELECT FROM children', 'the children are deleted');
SELECT storekit.guard_append_only('children', 'children', '{pdf}', true);
SELECT triggers_are('public', 'children', '{}'::name[], 'a mutable table has no append-only triggers');

-- check_move, refuse_state, guard_state: all pairs of states of every machine that is shipped
SELECT be('owner');
SELECT refused($$SELECT storekit.refuse_state('blog_posts', 'r', 'draft', 'published')$$, 'SK410',
    'blog_posts r: it cannot change from draft to published, only in_review', 'the error lists the allowed states');
SELECT refused($$SELECT storekit.refuse_state('blog_posts', 'r', '', 'published')$$, 'SK410',
    'it cannot start as published, only draft', 'the error of an insert has no old state');
SELECT refused($$SELECT storekit.refuse_state('blog_posts', 'r', 'published', 'draft')$$, 'SK410', 'only stay as it is',
    'the error of a final state allows nothing');

RESET ROLE;
SELECT set_config('storekit.tenant', id('acme')::text, true);
INSERT INTO activity_runs (id, activity, agent) VALUES (id('run'), 'a', 'b');
INSERT INTO activity_outputs (id, run_id) VALUES (id('output'), id('run'));
CREATE FUNCTION pg_temp.insert(p_table text, p_state text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE
        v_ref text;
    BEGIN
        EXECUTE format(CASE p_table
            WHEN 'activity_runs' THEN 'INSERT INTO activity_runs (activity, agent, status) VALUES (''a'', ''b'', %L)'
            WHEN 'activity_outputs' THEN 'INSERT INTO activity_outputs (run_id, status) VALUES (id(''run''), %L)'
            WHEN 'tool_calls' THEN 'INSERT INTO tool_calls (run_id, name, method, status) VALUES (id(''run''), ''n'', ''m'', %L)'
            WHEN 'blog_posts' THEN 'INSERT INTO blog_posts (output_id, title, status) VALUES (id(''output''), ''t'', %L)'
            END || ' RETURNING ref_id', p_state) INTO v_ref;
        RETURN v_ref;
    EXCEPTION WHEN SQLSTATE 'SK410' THEN
        RETURN NULL;
    END $$;
CREATE FUNCTION pg_temp.may_move(p_table text, p_from text, p_to text) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        v_ref text;
    BEGIN
        EXECUTE format('ALTER TABLE %I DISABLE TRIGGER storekit_begin', p_table);
        v_ref := pg_temp.insert(p_table, p_from);
        EXECUTE format('ALTER TABLE %I ENABLE TRIGGER storekit_begin', p_table);
        EXECUTE format('UPDATE %I SET status = %L WHERE ref_id = %L', p_table, p_to, v_ref);
        RETURN true;
    EXCEPTION WHEN SQLSTATE 'SK410' THEN
        RETURN false;
    END $$;
CREATE FUNCTION pg_temp.states_are(p_table text, p_first text[], p_moves text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
    DECLARE
        v_states text[];
    BEGIN
        EXECUTE format('SELECT enum_range(NULL::public.%I)::text[]', p_table || '_status') INTO v_states;
        RETURN NEXT set_eq(format('SELECT s FROM unnest(%L::text[]) AS s WHERE pg_temp.insert(%L, s) IS NOT NULL', v_states,
        p_table),
            p_first, p_table || ' begin as they may (storekit_begin)');
        RETURN NEXT set_eq(format('SELECT a || '' '' || b FROM unnest(%1$L::text[]) AS a, unnest(%1$L::text[]) AS b
            WHERE a <> b AND pg_temp.may_move(%2$L, a,
            b)', v_states, p_table), p_moves, p_table || ' move as they may (storekit_move)');
    END $$;
SELECT pg_temp.states_are('activity_runs', '{pending,running}',
    '{pending running,pending cancelled,running succeeded,running failed,running cancelled}');
SELECT pg_temp.states_are('activity_outputs', '{draft,in_review}',
    '{draft in_review,in_review draft,in_review approved,in_review rejected,rejected draft}');
SELECT pg_temp.states_are('tool_calls', '{running,succeeded,failed}', '{running succeeded,running failed}');
SELECT pg_temp.states_are('blog_posts', '{draft}', '{draft in_review,in_review draft,in_review approved,in_review rejected,
    approved published,approved draft,rejected draft}');

SELECT be('owner');
CREATE TABLE public.lights (LIKE public.contracts INCLUDING ALL, colour text);
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES ('lights', 'colour', 'red', 'green');
SELECT storekit.guard_state('lights', 'lights', 'colour');
SELECT triggers_are('public', 'lights', '{storekit_move}'::name[], 'without an initial state a row can begin in any state');
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES ('lights', 'colour', '', 'red');
SELECT storekit.guard_state('lights', 'lights', 'colour');
SELECT triggers_are('public', 'lights', '{storekit_begin,storekit_move}'::name[], 'with an initial state inserts are checked');
SELECT storekit.guard_state('lights', 'lights', NULL);
SELECT triggers_are('public', 'lights', '{}'::name[], 'without a machine there are no triggers');

-- state_field
RESET ROLE;
SELECT is(storekit.state_field('blog_posts'), 'status', 'it returns the state field');
SELECT is(storekit.state_field('contracts'), NULL, 'a table without a machine has no state field');
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES ('lights', 'mood', 'blue', 'green');
SELECT refused('SELECT storekit.state_field(''lights'')', 'SK400', 'has the state fields',
    'a table with two state fields is refused');

SELECT * FROM finish();
