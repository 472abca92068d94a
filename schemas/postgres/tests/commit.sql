-- Commit: the only call that makes refs visible.
SELECT plan(41);

-- commit_v1
SELECT function_is('storekit.commit_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_key text, '
        'p_fingerprint bytea, p_parts jsonb, p_ops jsonb, p_on_behalf_of text DEFAULT NULL::text, p_context jsonb DEFAULT NULL::jsonb)',
    'jsonb', 'definer volatile', 'storekit path, pinned, lock_timeout=5s', 'app');
SELECT be('app');
SELECT is(commit('w1', run('a'), run('b')),
    jsonb_build_object('outcome', 'committed', 'now', storekit.now(), 'rows', jsonb_build_array(
    jsonb_build_array('activity_runs', ref('a'), 1), jsonb_build_array('activity_runs', ref('b'), 1))),
    'it returns each row with its version');
SELECT is((SELECT result FROM storekit.write WHERE write_id = id('w1')), commit('w1', run('a')) -> 'result',
    'a repeated commit returns the same result');
SELECT is((SELECT count(*) FROM activity_runs), 2::bigint, 'a repeated commit writes nothing');
SELECT results_eq($$SELECT DISTINCT created_by, tenant_id FROM activity_runs$$, $$VALUES ('agent:test', id('acme'))$$,
    'rows have the actor and the tenant');
SELECT is((SELECT count(*) FROM storekit.event WHERE write_id = id('w1')), 2::bigint, 'the event of each row has the write id');
SELECT is(current_setting('storekit.write_id'), '', 'later statements of the transaction do not have the write id');
SELECT throws_ok($$SELECT commit('w2', run('c'), op('update', 'activity_runs', at('none', '{"error": "x"}')))$$, 'SK404', NULL,
    'a refused op refuses the commit');
SELECT is((SELECT count(*) FROM activity_runs WHERE ref_id = ref('c')), 0::bigint, 'the rows of a refused commit are rolled back');
SELECT is((SELECT count(*) FROM storekit.write WHERE write_id = id('w2')), 0::bigint,
    'the write of a refused commit is rolled back');
SELECT throws_ok($$SELECT storekit.commit_v1(id('other'), 'a', id('w3'), NULL, NULL, '[]', '[]')$$, 'SK004', NULL,
    'a transaction belongs to one tenant');

-- commit_parts
RESET ROLE;
SELECT be('app');
SELECT stage('p1', part('contracts', 'c.pdf'));
CREATE FUNCTION pg_temp.contract(p_name text, p_pdf uuid) RETURNS jsonb LANGUAGE sql AS $$
    SELECT op('insert', 'contracts', at(p_name,
    jsonb_build_object('title', 't', 'accepted_by', 'x', 'accepted_on', now(), 'pdf_ref', p_pdf))) $$;
CREATE FUNCTION pg_temp.attempt(p_parts jsonb, VARIADIC p_ops jsonb[]) RETURNS text LANGUAGE sql AS $$
    SELECT refused(format('SELECT storekit.commit_v1(id(''acme''), ''a'', id(''p1''), NULL, NULL, %L, %L)', p_parts,
    to_jsonb(p_ops)),
        'SK400', 'its rows name . parts, . were uploaded', 'storekit.commit_parts() refuses it') $$;
SELECT pg_temp.attempt(uploaded('c.pdf'), pg_temp.contract('c', NULL)), 'a part that no row names';
SELECT pg_temp.attempt(uploaded('c.pdf'), pg_temp.contract('other', id('c.pdf'))), 'a part of another row';
SELECT pg_temp.attempt(uploaded('c.pdf', 'd.pdf'), pg_temp.contract('c', id('c.pdf'))), 'a part that was not staged';
SELECT pg_temp.attempt('[]', pg_temp.contract('c', id('c.pdf'))), 'a part that was not uploaded';
SELECT pg_temp.attempt(uploaded('c.pdf'), op('insert', 'activity_outputs',
    at('c', jsonb_build_object('run_id', id(ref('a')), 'content_ref', id('c.pdf'))))),
    'a part of another field';
SELECT pg_temp.attempt(uploaded('c.pdf'), pg_temp.contract('c', id('c.pdf')), pg_temp.contract('d', id('c.pdf'))),
    'a part that two rows name';
SELECT refused($$SELECT commit('p0', pg_temp.contract('c', id('unknown')))$$, 'SK400', 'its rows name 1 parts, 0 were uploaded',
    'a write without parts cannot set a ref');
SELECT is(storekit.commit_v1(id('acme'), 'a', id('p1'), NULL, NULL, uploaded('c.pdf'),
    jsonb_build_array(pg_temp.contract('c', id('c.pdf')))) ->> 'outcome',
    'committed', 'a row and its part are committed');
SELECT results_eq($$SELECT state::text, live, version_id FROM storekit.part WHERE part_id = id('c.pdf')$$,
    $$VALUES ('committed', true, 'v1')$$,
    'the part is live and has the version of S3');
SELECT stage('p2', part('contracts', 'e.pdf', '{"size": null, "sha256": null}'));
SELECT throws_ok($$SELECT storekit.commit_v1(id('acme'), 'a', id('p2'), NULL, NULL, uploaded('e.pdf'),
    jsonb_build_array(pg_temp.contract('e', id('e.pdf'))))$$,
    '23514', NULL, 'a live part needs a size and a hash');
SELECT storekit.commit_v1(id('acme'), 'a', id('p2'), NULL, NULL,
    jsonb_set(jsonb_set(uploaded('e.pdf'), '{0,size}', '9'), '{0,sha256}', to_jsonb(sha256('e'))),
    jsonb_build_array(pg_temp.contract('e', id('e.pdf'))));
SELECT results_eq($$SELECT size, sha256 FROM storekit.part WHERE part_id = id('e.pdf')$$, $$VALUES (9::bigint, sha256('e'))$$,
    'the size and hash of a stream are set by the commit');

-- lock_rows
RESET ROLE;
SELECT be('app');
SELECT commit('locks', run('l1'), run('l2'));
SELECT be('owner', 'acme');
SELECT storekit.lock_rows(jsonb_build_array(op('update', 'activity_runs', at('l1'), at('none'), at('l2')), run('new')));
SELECT is((SELECT count(*) FROM activity_runs WHERE ref_id IN (ref('l1'), ref('l2')) AND xmax <> 0), 2::bigint,
    'existing rows are locked before the first change');
SELECT refused($$SELECT storekit.lock_rows(jsonb_build_array(op('delete', 'nothing', at('b'), at('a'))))$$, 'SK424',
    'does not exist',
    'only managed tables can be locked');

-- write_rows
RESET ROLE;
SELECT be('owner', 'acme');
SELECT is(storekit.write_rows(op('update', 'activity_runs', at('b', '{"error": "x"}'), at('a', '{"error": "y"}'))),
    jsonb_build_array(
    jsonb_build_array('activity_runs', ref('b'), 2), jsonb_build_array('activity_runs', ref('a'), 2)),
    'it returns rows in the order of the request');
CREATE FUNCTION pg_temp.refuses(p_op jsonb, p_code text, p_reason text, p_what text) RETURNS text LANGUAGE sql AS $$
    SELECT refused(format('SELECT storekit.write_rows(%L)', p_op), p_code, p_reason,
    'storekit.write_rows() refuses ' || p_what) $$;
SELECT pg_temp.refuses(op('upsert', 'activity_runs', at('a')), 'SK400', 'does not support upsert', 'an unknown op');
SELECT pg_temp.refuses(op('update', 'contracts', at('c', '{"title": "u"}')), 'SK400', 'does not support update',
    'an update of an append-only table');
SELECT pg_temp.refuses(op('delete', 'contracts', at('c')), 'SK400', 'does not support delete',
    'a delete from an append-only table');
SELECT pg_temp.refuses(op('restore', 'activity_runs', at('a')), 'SK400', 'does not support restore',
    'a restore in a table without soft delete');
SELECT pg_temp.refuses(op('delete', 'activity_runs', at('a', '{"error": "x"}')), 'SK400', 'does not support delete',
    'a delete with columns');
SELECT pg_temp.refuses(op('update', 'activity_runs', at('a', '{"error": "x"}'), at('b')), 'SK400', 'exactly the keys',
    'a row without a key of the first row');
SELECT pg_temp.refuses(op('update', 'activity_runs', at('a', '{"error": "x"}'), at('b', '{"error": "x", "agent": "y"}')), 'SK400',
    'exactly the keys', 'a row with a key that the first row lacks');
SELECT pg_temp.refuses(op('update', 'activity_runs', at('a', '{"error": "x"}'), at('a', '{"error": "y"}')), 'SK400',
    'more than once', 'the same row twice');
SELECT pg_temp.refuses(op('update', 'activity_runs', at('a', '{"version": 9}')), 'SK424', 'no column or part',
    'a column that storekit sets');
SELECT pg_temp.refuses(op('update', 'activity_runs', at('a', '{"eror": "x"}')), 'SK424', 'no column or part',
    'an unknown column');
SELECT pg_temp.refuses(op('update', 'activity_runs', at('a', '{"error": "x", "expected_version": 1}')), 'SK409',
    'has version 2, not 1', 'a stale version');
SELECT pg_temp.refuses(op('update', 'activity_runs', at('none', '{"error": "x"}')), 'SK404', 'was not found',
    'a missing row');
SELECT pg_temp.refuses(op('insert', 'activity_runs', at('n', '{"activity": "x", "agent": "y", "expected_version": 1}')), 'SK400',
    'exactly the keys', 'an expected version of a new row');
SELECT pg_temp.refuses(op('update', 'activity_templates', at('a', '{"name": "x"}')), 'SK403', 'of scope global',
    'a global table');
SELECT pg_temp.refuses(op('update', 'pg_catalog.pg_class', at('a', '{"relname": "x"}')), 'SK424', 'is not managed',
    'a table that is not managed');
SELECT be('owner', 'other');
SELECT pg_temp.refuses(op('update', 'activity_runs', at('a', '{"error": "x"}')), 'SK404', 'was not found',
    'a row of another tenant');

SELECT * FROM finish();
