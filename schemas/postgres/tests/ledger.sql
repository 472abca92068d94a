-- The constraints of the tables of the ledger and of declarations.
SELECT plan(43);

SELECT tables_are('storekit', '{migration,field,managed,move,event_type,write,part,event_inbox,domain_event,
    domain_event_0001,event_head,lease,tenant_head,cursor}'::name[]);
SELECT views_are('storekit', '{event}'::name[]);
SELECT enum_has_labels('storekit', 'write_state', '{pending,committed,aborted}'::name[]);
SELECT enum_has_labels('storekit', 'part_state', '{pending,committed,aborted,purging,swept,gone}'::name[]);

-- Writes
SELECT col_is_pk('storekit', 'write', '{tenant_id,write_id}'::name[], 'the primary key');
CREATE FUNCTION pg_temp.write(p_set jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO storekit.write SELECT * FROM jsonb_populate_record(NULL::storekit.write,
    jsonb_build_object('tenant_id', id('acme'), 'write_id', id('w'),
        'state', 'pending', 'lease_until', now(), 'actor', 'x', 'created_on', now()) || p_set) $$;
SELECT refused($$SELECT pg_temp.write('{"lease_until": null}')$$, '23514', 'write_leased', 'a pending write has a lease');
SELECT refused($$SELECT pg_temp.write('{"state": "committed"}')$$, '23514', 'write_finished', 'a finished write has an end');
SELECT refused($$SELECT pg_temp.write('{"finished_on": "2026-01-01T00:00:00Z"}')$$, '23514', 'write_finished',
    'a pending write has no end');
SELECT refused($$SELECT pg_temp.write('{"idempotency_key": "k"}')$$, '23514', 'write_bound', 'a key needs a fingerprint');
SELECT refused($$SELECT pg_temp.write('{"idempotency_key": "", "fingerprint": "\\x00"}')$$, '23514', 'idempotency_key',
    'a key is not empty');
SELECT refused(format($$SELECT pg_temp.write('{"idempotency_key": "%s", "fingerprint": "\\x00"}')$$, repeat('k', 256)), '23514',
    'idempotency_key', 'a key has at most 255 characters');
SELECT pg_temp.write('{"idempotency_key": "k", "fingerprint": "\\x00"}');
SELECT refused($$SELECT pg_temp.write(jsonb_build_object('idempotency_key', 'k', 'fingerprint', '\x00', 'write_id', id('w2')))$$,
    '23505', 'write_key', 'two writes cannot have the same key');
SELECT lives_ok($$SELECT pg_temp.write(jsonb_build_object('idempotency_key', 'k', 'fingerprint', '\x00', 'tenant_id',
    id('other')))$$, 'two tenants can use the same key');
UPDATE storekit.write SET state = 'aborted', finished_on = now() WHERE tenant_id = id('acme');
SELECT lives_ok($$SELECT pg_temp.write(jsonb_build_object('idempotency_key', 'k', 'fingerprint', '\x00', 'write_id',
    id('w2')))$$, 'an aborted write frees its key');

-- Parts
SELECT col_is_pk('storekit', 'part', '{tenant_id,part_id}'::name[], 'the primary key');
SELECT col_is_unique('storekit', 'part', '{tenant_id,part_id,live}'::name[], 'the primary key');
SELECT fk_ok('storekit', 'part', '{tenant_id,write_id}'::name[], 'storekit', 'write', '{tenant_id,write_id}'::name[]);
CREATE FUNCTION pg_temp.part(p_set jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO storekit.part (tenant_id, part_id, write_id, state, entity, ref_id, field, store, key, version_id, size, sha256,
    sign_until)
    SELECT tenant_id, part_id, write_id, state, entity, ref_id, field, store, key, version_id, size, sha256, now()
    FROM jsonb_populate_record(NULL::storekit.part,
    jsonb_build_object('tenant_id', id('acme'), 'part_id', id('p'), 'write_id', id('w2'), 'state', 'committed',
        'entity', 'contracts', 'ref_id', ref('c'), 'field', 'pdf', 'store', 's3', 'key',
        concat_ws('/', id('acme'), 'contracts', ref('c'), 'pdf', id('p')),
        'version_id', 'v', 'size', 0, 'sha256', sha256('')) || p_set) $$;
SELECT refused(format('SELECT pg_temp.part(%L)', change), '23514', split_part(why, ': ', 1),
    split_part(why, ': ', 2)) FROM (VALUES
    ('{"size": null}', 'part_whole: a committed part has a size'),
    ('{"sha256": null}', 'part_whole: a committed part has a hash'),
    ('{"version_id": null}', 'part_whole: a committed part in S3 has a version'),
    ('{"size": -1}', 'part_size_check: a size is not negative'),
    ('{"sha256": "\\x00"}', 'part_sha256_check: a hash has 32 bytes'),
    ('{"key": "mine"}', 'part_key: the S3 key has the required format'),
    ('{"store": "disk"}', 'part_store_check: a store is one of two'),
    ('{"ref_id": "x", "store": "mongo"}', 'part_ref_id_check: a ref_id is a ULID')) AS v (change, why);
SELECT lives_ok($$SELECT pg_temp.part('{}')$$, 'a complete part is accepted');
SELECT is((SELECT live FROM storekit.part), true, 'a committed part is live');
SELECT refused('INSERT INTO storekit.part (live) VALUES (true)', '428C9', 'live', 'live cannot be set directly');
SELECT refused('DELETE FROM storekit.write WHERE write_id = id(''w2'')', '23503', 'part_tenant_id_write_id_fkey',
    'a write with parts cannot be deleted');

-- Declarations
SELECT refused(format('INSERT INTO storekit.field (table_name, field, kind, ttl, links, collection) VALUES (''t'', %s)', change),
    '23514', 'field', change) FROM unnest(ARRAY[
    '''Upper'', ''blob'', NULL, ''{}'', NULL', '''a'', ''file'', NULL, ''{}'', NULL', '''a'', ''document'', NULL, ''{}'', NULL',
    '''a'', ''blob'', NULL, ''{}'', ''c''',
    '''a'', ''blob'', ''1 day'', ''{}'', NULL', '''a'', ''document'', ''-1 day'', ''{}'', ''c''',
    '''a'', ''document'', NULL, ''{}'', ''$c''']) AS change;
SELECT refused('INSERT INTO storekit.managed VALUES (''e'', ''s'', ''t'', true, true, ''galaxy'', false)', '23514', 'managed_scope',
    'a scope is one of three');
SELECT refused('INSERT INTO storekit.move VALUES (''e'', ''f'', ''a'', '''')', '23514', 'move_to_state',
    'a transition needs a target state');
SELECT refused('INSERT INTO storekit.event_type VALUES (''e.x'', ''e'')', '23503', 'event_type',
    'an event type belongs to a managed table');

-- Events
SELECT col_is_pk('storekit', 'domain_event', 'pos', 'the primary key is the position');
SELECT is((SELECT pos FROM storekit.event_head), 0::bigint, 'the sequencer starts at 0');
SELECT refused('INSERT INTO storekit.event_head SELECT h.* FROM storekit.event_head AS h', '23505', 'event_head', 'there is only one head');
SELECT refused('INSERT INTO storekit.event_head SELECT false, 1, now(), NULL, 1, 1', '23514', 'event_head', 'a second head is refused');

SELECT * FROM finish();
