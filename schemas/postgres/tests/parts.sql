-- Parts: their state changes, the foreign key of refs, the purge queue.
SELECT plan(37);

-- refuse_move, part_moves, part_stays
SELECT triggers_are('storekit', 'part', '{part_moves,part_stays}'::name[]);
SELECT trigger_does('part', 'part_moves', 'BEFORE UPDATE ROW storekit.refuse_move()');
SELECT trigger_does('part', 'part_stays', 'BEFORE DELETE ROW storekit.refuse_move()');

-- Every pair of states, without holds, retention and signatures.
SELECT be('owner', 'acme');
SELECT storekit.insert_write(id('acme'), 'a', id('w'), NULL, NULL, '1 minute');
CREATE FUNCTION pg_temp.set_state(p_state storekit.part_state) RETURNS void LANGUAGE sql AS $$
    ALTER TABLE storekit.part DISABLE TRIGGER USER;
    DELETE FROM storekit.part;
    ALTER TABLE storekit.part ENABLE TRIGGER USER;
    INSERT INTO storekit.part (tenant_id, part_id, write_id, state, entity, ref_id, field, store, key, size, sha256, sign_until,
    purge_after)
    VALUES (id('acme'), id('p'), id('w'), p_state, 'tool_calls', ref('p'), 'payload', 'mongo', 'c', 1, sha256('x'),
            storekit.now(), storekit.now()) $$;
CREATE FUNCTION pg_temp.may_move(p_from storekit.part_state, p_to storekit.part_state) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_temp.set_state(p_from);
        UPDATE storekit.part SET state = p_to;
        RETURN true;
    EXCEPTION WHEN SQLSTATE 'SK002' THEN
        RETURN false;
    END $$;
SELECT set_eq($$SELECT a || ' -> ' || b FROM unnest(enum_range(NULL::storekit.part_state)) AS a,
    unnest(enum_range(NULL::storekit.part_state)) AS b
                WHERE a <> b AND pg_temp.may_move(a, b)$$,
    '{pending -> committed,pending -> aborted,aborted -> swept,committed -> purging,purging -> swept,swept -> gone}'::text[],
    '6 of 30 state changes are allowed');
CREATE FUNCTION pg_temp.may_go(p_state storekit.part_state) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_temp.set_state(p_state);
        DELETE FROM storekit.part;
        RETURN true;
    EXCEPTION WHEN SQLSTATE 'SK002' THEN
        RETURN false;
    END $$;
SELECT set_eq('SELECT a::text FROM unnest(enum_range(NULL::storekit.part_state)) AS a WHERE pg_temp.may_go(a)', ARRAY['gone'],
    'only a part in state gone can be deleted');

-- Protection from the purge
SELECT pg_temp.set_state('committed');
CREATE FUNCTION pg_temp.keeps(p_set text, p_why text) RETURNS text LANGUAGE sql AS $$
    SELECT refused(format('UPDATE storekit.part SET %s, state = ''purging''', p_set), 'SK002',
    'cannot change from committed to purging', p_why) $$;
SELECT pg_temp.keeps('legal_hold = true', 'a part with a legal hold');
SELECT pg_temp.keeps('retain_until = storekit.now() + interval ''1 s''', 'a part with a retention');
SELECT pg_temp.keeps('purge_after = storekit.now() + interval ''1 s''', 'a part with a later purge date');
SELECT pg_temp.keeps('purge_after = NULL', 'a part without a purge date');
SELECT pg_temp.keeps('sign_until = storekit.now() + interval ''1 s''', 'a part with a valid upload signature');
SELECT refused(format('UPDATE storekit.part SET %s', change), 'SK002', 'cannot change its identity', change) FROM unnest(ARRAY[
    'tenant_id = id(''other'')', 'part_id = id(''q'')', 'write_id = id(''x'')', 'entity = ''contracts''', 'ref_id = ref(''q'')',
    'field = ''pdf''', 'store = ''s3''', 'key = ''k''', 'sign_until = sign_until - interval ''1 s''']) AS change;
UPDATE storekit.part SET retain_until = storekit.now() + interval '1 day';
SELECT refused('UPDATE storekit.part SET retain_until = storekit.now()', 'SK002', 'shorten its retention',
    'a retention cannot be shortened');
SELECT refused('UPDATE storekit.part SET retain_until = NULL', 'SK002', 'shorten its retention', 'a retention cannot be removed');
SELECT lives_ok('UPDATE storekit.part SET retain_until = retain_until + interval ''1 day''', 'a retention can be extended');
SELECT lives_ok('UPDATE storekit.part SET legal_hold = true', 'a hold can be set');
SELECT lives_ok('UPDATE storekit.part SET legal_hold = false', 'a hold can be removed');

-- A foreign key prevents dangling refs.
RESET ROLE;
SELECT fk_ok('public', 'tool_calls', '{tenant_id,payload_ref,parts_live}'::name[], 'storekit', 'part',
    '{tenant_id,part_id,live}'::name[]);
SELECT fk_ok('public', 'contracts', '{tenant_id,pdf_ref,parts_live}'::name[], 'storekit', 'part',
    '{tenant_id,part_id,live}'::name[]);
SELECT fk_ok('public', 'activity_outputs', ARRAY['tenant_id', field || '_ref', 'parts_live']::name[], 'storekit', 'part',
    '{tenant_id,part_id,live}'::name[])
    FROM unnest('{content,metadata}'::text[]) AS field;
SELECT be('app');
SELECT save_call('call');
RESET ROLE;
UPDATE storekit.part SET purge_after = storekit.now() WHERE part_id = id('call.payload');
SELECT later('2 minutes');
SELECT throws_ok('UPDATE storekit.part SET state = ''purging'' WHERE part_id = id(''call.payload'')', '23503', NULL,
    'a referenced part cannot be purged');
SELECT throws_ok('UPDATE tool_calls SET payload_ref = id(''unknown'')', '23503', NULL,
    'a ref to a part that is not live is refused');
SELECT throws_ok('UPDATE tool_calls SET parts_live = NULL', '428C9', NULL, 'the foreign key cannot be disabled');
UPDATE tool_calls SET payload_ref = NULL;
SELECT lives_ok('UPDATE storekit.part SET state = ''purging'' WHERE part_id = id(''call.payload'')',
    'an unreferenced part can be purged');
SELECT later('0');

-- supersede
SELECT be('app');
SELECT save_call('old');
SELECT be('owner', 'acme');
SELECT lives_ok('SELECT storekit.supersede(NULL)', 'supersede accepts NULL');
SELECT storekit.supersede(ARRAY[id('old.payload')]);
SELECT results_eq('SELECT superseded_on, purge_after - storekit.now() FROM storekit.part WHERE part_id = id(''old.payload'')',
    $$VALUES (storekit.now(), storekit.purge_delay())$$, 'storekit.supersede() queues a part until the longest URL has expired');
SELECT later('1 day');
SELECT storekit.supersede(ARRAY[id('old.payload')]);
SELECT is((SELECT superseded_on FROM storekit.part WHERE part_id = id('old.payload')), transaction_timestamp(),
    'a second call keeps the first date');
SELECT refused('SELECT storekit.supersede(ARRAY[id(''old.payload''), id(''unknown'')])', 'SK004', 'must be for one tenant',
    'an unknown part refuses the call');
SELECT be('owner', 'other');
SELECT refused('SELECT storekit.supersede(ARRAY[id(''old.payload'')])', 'SK004', 'must be for one tenant',
    'a part of another tenant refuses the call');

SELECT * FROM finish();
