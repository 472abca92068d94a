-- Claims: who holds a write and its idempotency key. Inside the write API, as the owner, in acme's transaction.
SELECT plan(43);
SELECT be('owner', 'acme');

-- insert_write: a lease makes it pending, none makes it committed.
SELECT is(storekit.insert_write(id('acme'), 'agent:a', id('pending'), 'key', 'same', '1 minute'), NULL, 'a new write is in');
SELECT results_eq($$SELECT state::text, idempotency_key, fingerprint, lease_until - storekit.now(), actor, finished_on
                FROM storekit.write WHERE write_id = id('pending')$$,
    $$VALUES ('pending', 'key', 'same'::bytea, interval '1 minute', 'agent:a', NULL::timestamptz)$$,
    'with a lease it is pending');
SELECT is(storekit.insert_write(id('acme'), 'agent:a', id('committed'), NULL, NULL, NULL), NULL, 'a write without a key is in');
SELECT results_eq($$SELECT state::text, finished_on FROM storekit.write WHERE write_id = id('committed')$$,
    $$VALUES ('committed', storekit.now())$$, 'without a lease it is committed');
SELECT is(storekit.insert_write(id('acme'), 'agent:a', id('second'), 'key', 'same', '1 minute'),
    '{"outcome": "held", "lease_left": 60}', 'a key that is held is answered so');
SELECT is((SELECT count(*) FROM storekit.write WHERE write_id = id('second')), 0::bigint, 'and leaves nothing');
SELECT is(storekit.insert_write(id('acme'), 'agent:a', id('pending'), NULL, NULL, '1 minute'), '{"outcome": "pending"}',
    'the same write again is answered with its state');
SELECT throws_ok($$SELECT storekit.insert_write(id('acme'), 'agent:a', id('third'), 'unbound', NULL, '1 minute')$$, '23514',
    NULL,
    'a key without a fingerprint is refused');

-- held
SELECT is(storekit.held('1500 milliseconds'), '{"outcome": "held", "lease_left": 1.5}', 'storekit.held() tells seconds');

-- own_write
SELECT is(storekit.own_write(id('acme'), id('pending')), '{"outcome": "pending"}', 'a pending write is pending');
SELECT is(storekit.own_write(id('acme'), id('committed')),
    jsonb_build_object('outcome', 'replay', 'write_id', id('committed'), 'result', NULL), 'a committed one is replayed');
SELECT is(storekit.own_write(id('acme'), id('absent')), NULL, 'an absent one may be inserted');
SELECT is(storekit.own_write(id('acme'), '018bcfe5-6800-7000-8000-000000000000'), '{"outcome": "lost"}',
    'unless its id is older than a day: then its row may have been tidied away');
SELECT is(storekit.own_write(id('other'), id('committed')), NULL, 'another tenant''s is absent');

-- free_key
SELECT is(storekit.free_key(id('acme'), id('x'), NULL, NULL), NULL, 'no key is always free');
SELECT is(storekit.free_key(id('acme'), id('x'), 'other', 'same'), NULL, 'a key of nobody is free');
SELECT is(storekit.free_key(id('acme'), id('pending'), 'key', 'same'), NULL, 'one''s own key is free');
SELECT is(storekit.free_key(id('acme'), id('x'), 'key', 'different'), '{"outcome": "mismatch"}',
    'a key is bound to its request');
SELECT is(storekit.free_key(id('acme'), id('x'), 'key', NULL), '{"outcome": "mismatch"}', 'no fingerprint is another request');
SELECT is(storekit.free_key(id('acme'), id('x'), 'key', 'same') ->> 'outcome', 'held', 'a leased key is held');
SELECT later('61 seconds');
SELECT is(storekit.free_key(id('acme'), id('x'), 'key', 'same'), NULL, 'after the lease the key is free');
SELECT is((SELECT state::text FROM storekit.write WHERE write_id = id('pending')), 'aborted', 'and its holder aborted');
SELECT later('0');
SELECT storekit.insert_write(id('acme'), 'agent:a', id('done'), 'key', 'same', NULL);
SELECT is(storekit.free_key(id('acme'), id('x'), 'key', 'same'),
    jsonb_build_object('outcome', 'replay', 'write_id', id('done'), 'result', NULL), 'a committed holder is replayed');

-- abort_pending
SELECT storekit.insert_write(id('acme'), 'agent:a', id('late'), NULL, NULL, '1 minute');
SELECT storekit.insert_parts(id('acme'), id('late'), storekit.now(), jsonb_build_array(part('contracts', 'c.pdf')));
SELECT storekit.abort_pending(id('acme'), id('late'), storekit.now());
SELECT is(storekit.own_write(id('acme'), id('late')) ->> 'outcome', 'pending', 'a lease that lasts is respected');
SELECT storekit.abort_pending(id('other'), id('late'), NULL);
SELECT is(storekit.own_write(id('acme'), id('late')) ->> 'outcome', 'pending', 'so is another tenant''s write');
SELECT storekit.abort_pending(id('acme'), id('late'), NULL);
SELECT is(storekit.own_write(id('acme'), id('late')) ->> 'outcome', 'lost', 'without a bound it is aborted');
SELECT is((SELECT state::text FROM storekit.part WHERE part_id = id('c.pdf')), 'aborted', 'and its parts with it');
SELECT storekit.abort_pending(id('acme'), id('done'), NULL);
SELECT is(storekit.own_write(id('acme'), id('done')) ->> 'outcome', 'replay', 'what is committed stays committed');

-- claim
SELECT is(storekit.claim(id('acme'), 'agent:a', id('fresh'), NULL, NULL, false), NULL,
    'a write without parts is claimed by inserting it');
SELECT is(storekit.own_write(id('acme'), id('fresh')) ->> 'outcome', 'replay', 'it is committed');
SELECT is(storekit.claim(id('acme'), 'agent:a', id('fresh'), NULL, NULL, false) ->> 'outcome', 'replay',
    'once: then it is replayed');
SELECT storekit.insert_write(id('acme'), 'agent:a', id('staged'), NULL, NULL, '1 minute');
SELECT later('1 hour');
SELECT is(storekit.claim(id('acme'), 'agent:a', id('staged'), NULL, NULL, true), NULL,
    'a staged write is claimed, however late, if nobody robbed it');
SELECT later('0');
SELECT is(storekit.claim(id('acme'), 'agent:a', id('late'), NULL, NULL, true), '{"outcome": "lost"}', 'an aborted one is lost');
SELECT is(storekit.claim(id('acme'), 'agent:a', id('never'), NULL, NULL, true), '{"outcome": "lost"}',
    'so is one that was not staged');
SELECT is((SELECT count(*) FROM storekit.write WHERE write_id = id('never')), 0::bigint, 'and no row is made for it');
SELECT is(storekit.claim(id('acme'), 'agent:a', id('mine'), 'key', 'same', false) ->> 'write_id', id('done')::text,
    'the key of a committed write is answered with that write');

-- abandon_v1
SELECT function_is('storekit.abandon_v1(p_tenant uuid, p_actor text, p_write_id uuid)', 'jsonb', 'definer volatile',
    'storekit path, TimeZone=UTC, enable_seqscan=off, lock_timeout=5s', 'app');
SELECT be('app');
SELECT stage('open', part('contracts', 'o.pdf'));
SELECT is(storekit.abandon_v1(id('acme'), 'agent:a', id('open')), '{"outcome": "aborted"}', 'a pending one is aborted, lease or not');
SELECT is((SELECT state::text FROM storekit.part WHERE part_id = id('o.pdf')), 'aborted', 'and its parts with it');
SELECT is(storekit.abandon_v1(id('acme'), 'agent:a', id('unsent')), '{"outcome": "aborted"}',
    'a write that never came is aborted');
SELECT is(commit('unsent', run('run')), '{"outcome": "lost"}', 'and comes to nothing when it comes');
SELECT is(storekit.abandon_v1(id('acme'), 'agent:a', id('done')) ->> 'outcome', 'committed', 'a committed one stays so');
SELECT is(storekit.abandon_v1(id('acme'), 'agent:a', '018bcfe5-6800-7000-8000-000000000000'), '{"outcome": "unknown"}',
    'of one older than a day nothing is known, and nothing is written');

SELECT * FROM finish();
