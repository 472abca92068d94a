-- Claims: which write holds an idempotency key. Called inside the write API, as the owner, in acme's transaction.
SELECT plan(43);
SELECT be('owner', 'acme');

-- insert_write: with a lease the write is pending, without one it is committed.
SELECT is(storekit.insert_write(id('acme'), 'agent:a', id('pending'), 'key', 'same', '1 minute'), NULL, 'a new write is inserted');
SELECT results_eq($$SELECT state::text, idempotency_key, fingerprint, lease_until - storekit.now(), actor, finished_on
                FROM storekit.write WHERE write_id = id('pending')$$,
    $$VALUES ('pending', 'key', 'same'::bytea, interval '1 minute', 'agent:a', NULL::timestamptz)$$,
    'a write with a lease is pending');
SELECT is(storekit.insert_write(id('acme'), 'agent:a', id('committed'), NULL, NULL, NULL), NULL,
    'a write without a key is inserted');
SELECT results_eq($$SELECT state::text, finished_on FROM storekit.write WHERE write_id = id('committed')$$,
    $$VALUES ('committed', storekit.now())$$, 'a write without a lease is committed');
SELECT is(storekit.insert_write(id('acme'), 'agent:a', id('second'), 'key', 'same', '1 minute'),
    '{"outcome": "held", "lease_left": 60}', 'a held key returns held');
SELECT is((SELECT count(*) FROM storekit.write WHERE write_id = id('second')), 0::bigint, 'a held key inserts no write');
SELECT is(storekit.insert_write(id('acme'), 'agent:a', id('pending'), NULL, NULL, '1 minute'), '{"outcome": "pending"}',
    'inserting the same write again returns its state');
SELECT throws_ok($$SELECT storekit.insert_write(id('acme'), 'agent:a', id('third'), 'unbound', NULL, '1 minute')$$, '23514',
    NULL,
    'a key without a fingerprint is refused');

-- held
SELECT is(storekit.held('1500 milliseconds'), '{"outcome": "held", "lease_left": 1.5}', 'storekit.held() returns seconds');

-- own_write
SELECT is(storekit.own_write(id('acme'), id('pending')), '{"outcome": "pending"}', 'a pending write returns pending');
SELECT is(storekit.own_write(id('acme'), id('committed')),
    jsonb_build_object('outcome', 'replay', 'write_id', id('committed'), 'result', NULL), 'a committed write is replayed');
SELECT is(storekit.own_write(id('acme'), id('absent')), NULL, 'an unknown write can be inserted');
SELECT is(storekit.own_write(id('acme'), '018bcfe5-6800-7000-8000-000000000000'),
    jsonb_build_object('outcome', 'lost', 'now', storekit.now()),
    'an unknown write of more than a day is lost, as its row may have been deleted');
SELECT is(storekit.own_write(id('other'), id('committed')), NULL, 'a write of another tenant is unknown');

-- free_key
SELECT is(storekit.free_key(id('acme'), id('x'), NULL, NULL), NULL, 'a write without a key needs no key');
SELECT is(storekit.free_key(id('acme'), id('x'), 'other', 'same'), NULL, 'an unused key is free');
SELECT is(storekit.free_key(id('acme'), id('pending'), 'key', 'same'), NULL, 'the key of the same write is free');
SELECT is(storekit.free_key(id('acme'), id('x'), 'key', 'different'), '{"outcome": "mismatch"}',
    'a key is bound to its request');
SELECT is(storekit.free_key(id('acme'), id('x'), 'key', NULL), '{"outcome": "mismatch"}', 'a missing fingerprint is a mismatch');
SELECT is(storekit.free_key(id('acme'), id('x'), 'key', 'same') ->> 'outcome', 'held', 'a key with a running lease is held');
SELECT later('61 seconds');
SELECT is(storekit.free_key(id('acme'), id('x'), 'key', 'same'), NULL, 'a key is free after its lease');
SELECT is((SELECT state::text FROM storekit.write WHERE write_id = id('pending')), 'aborted',
    'the holder of an expired key is aborted');
SELECT later('0');
SELECT storekit.insert_write(id('acme'), 'agent:a', id('done'), 'key', 'same', NULL);
SELECT is(storekit.free_key(id('acme'), id('x'), 'key', 'same'),
    jsonb_build_object('outcome', 'replay', 'write_id', id('done'), 'result', NULL), 'a key of a committed write is replayed');

-- abort_pending
SELECT storekit.insert_write(id('acme'), 'agent:a', id('late'), NULL, NULL, '1 minute');
SELECT storekit.insert_parts(id('acme'), id('late'), storekit.now(), jsonb_build_array(part('contracts', 'c.pdf')));
SELECT storekit.abort_pending(id('acme'), id('late'), storekit.now());
SELECT is(storekit.own_write(id('acme'), id('late')) ->> 'outcome', 'pending', 'a write with a running lease stays pending');
SELECT storekit.abort_pending(id('other'), id('late'), NULL);
SELECT is(storekit.own_write(id('acme'), id('late')) ->> 'outcome', 'pending', 'a write of another tenant stays pending');
SELECT storekit.abort_pending(id('acme'), id('late'), NULL);
SELECT is(storekit.own_write(id('acme'), id('late')) ->> 'outcome', 'lost', 'a write is aborted without a time limit');
SELECT is((SELECT state::text FROM storekit.part WHERE part_id = id('c.pdf')), 'aborted',
    'the parts of an aborted write are aborted');
SELECT storekit.abort_pending(id('acme'), id('done'), NULL);
SELECT is(storekit.own_write(id('acme'), id('done')) ->> 'outcome', 'replay', 'a committed write stays committed');

-- claim
SELECT is(storekit.claim(id('acme'), 'agent:a', id('fresh'), NULL, NULL, false), NULL,
    'a write without parts is claimed by inserting it');
SELECT is(storekit.own_write(id('acme'), id('fresh')) ->> 'outcome', 'replay', 'the write is committed');
SELECT is(storekit.claim(id('acme'), 'agent:a', id('fresh'), NULL, NULL, false) ->> 'outcome', 'replay',
    'the next claim replays it');
SELECT storekit.insert_write(id('acme'), 'agent:a', id('staged'), NULL, NULL, '1 minute');
SELECT later('1 hour');
SELECT is(storekit.claim(id('acme'), 'agent:a', id('staged'), NULL, NULL, true), NULL,
    'a staged write is claimed after its lease, unless it was taken over');
SELECT later('0');
SELECT is(storekit.claim(id('acme'), 'agent:a', id('late'), NULL, NULL, true), '{"outcome": "lost"}', 'an aborted write is lost');
SELECT is(storekit.claim(id('acme'), 'agent:a', id('never'), NULL, NULL, true), '{"outcome": "lost"}',
    'a write with parts that was not staged is lost');
SELECT is((SELECT count(*) FROM storekit.write WHERE write_id = id('never')), 0::bigint, 'no row is inserted for a lost write');
SELECT is(storekit.claim(id('acme'), 'agent:a', id('mine'), 'key', 'same', false) ->> 'write_id', id('done')::text,
    'the key of a committed write replays that write');

-- abandon_v1
SELECT function_is('storekit.abandon_v1(p_tenant uuid, p_actor text, p_write_id uuid)', 'jsonb', 'definer volatile',
    'storekit path, pinned, lock_timeout=5s', 'app');
SELECT be('app');
SELECT stage('open', part('contracts', 'o.pdf'));
SELECT is(storekit.abandon_v1(id('acme'), 'agent:a', id('open')), '{"outcome": "aborted"}',
    'a pending write is aborted despite its lease');
SELECT is((SELECT state::text FROM storekit.part WHERE part_id = id('o.pdf')), 'aborted',
    'the parts of an aborted write are aborted');
SELECT is(storekit.abandon_v1(id('acme'), 'agent:a', id('unsent')), '{"outcome": "aborted"}',
    'an unknown write is aborted');
SELECT is(commit('unsent', run('run')), '{"outcome": "lost"}', 'an aborted write cannot commit later');
SELECT is(storekit.abandon_v1(id('acme'), 'agent:a', id('done')) ->> 'outcome', 'committed', 'a committed write is not aborted');
SELECT is(storekit.abandon_v1(id('acme'), 'agent:a', '018bcfe5-6800-7000-8000-000000000000'), '{"outcome": "unknown"}',
    'an unknown write of more than a day is lost, and no row is written');

SELECT * FROM finish();
