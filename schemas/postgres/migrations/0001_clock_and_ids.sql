-- Clock, tenant and actor of a transaction, and ids.
--
-- Errors of storekit's SQL have their own SQLSTATEs, by which the SDK recognises them. The messages are for people.
--   SK001  the identity of a row would change         SK404  a row is missing; the detail names it
--   SK002  the change of a part is not allowed        SK405  the table is append-only
--   SK004  the transaction has another tenant         SK409  a row has another version; the detail has both
--   SK400  the call is wrong                          SK410  a change of state is not allowed; the detail has those that are
--   SK403  global rows may not be written here        SK411  the change needs a reason
--                                                     SK412  no triggers run in the session
--                                                     SK424  the schema lacks what the class declares: migrate

GRANT USAGE ON SCHEMA storekit TO storekit_app, storekit_worker, storekit_auditor, storekit_reporter;

-- The only clock of storekit, which tests replace. It is the start of the transaction and therefore never ahead of the
-- real time, so that no lease is considered expired and no bytes are deleted too early.
CREATE FUNCTION storekit.now() RETURNS timestamptz LANGUAGE sql STABLE
RETURN transaction_timestamp();
COMMENT ON FUNCTION storekit.now() IS
    'The only clock of storekit: the time at which the transaction began.';

-- After a transaction that set the tenant, the setting is '' and not NULL.
CREATE FUNCTION storekit.current_tenant() RETURNS uuid LANGUAGE sql STABLE
RETURN nullif(current_setting('storekit.tenant', true), '')::uuid;

-- The actor. For hand-written SQL that sets none, it is the login.
CREATE FUNCTION storekit.current_actor() RETURNS text LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('storekit.actor', true), ''), session_user);

-- A UUID version 7: the first 48 bits of a random UUID are replaced with milliseconds, and its version 4 with 7.
CREATE FUNCTION storekit.new_id() RETURNS uuid LANGUAGE sql VOLATILE
RETURN encode(
    set_bit(set_bit(
        overlay(uuid_send(gen_random_uuid()) PLACING
            substring(int8send((extract(epoch FROM storekit.now()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1),
    'hex')::uuid;

-- The time at which a UUID version 7 was created. 0006_claims.sql needs the age of a write whose row is absent.
CREATE FUNCTION storekit.id_time(p_id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN to_timestamp(('x' || lpad(left(translate(p_id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0);

-- A ULID: ten characters of milliseconds and sixteen random ones, in Crockford's alphabet.
CREATE FUNCTION storekit.new_ref_id() RETURNS text LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', digit + 1, 1), '' ORDER BY place)
    FROM (
        SELECT place, ((extract(epoch FROM storekit.now()) * 1000)::bigint >> (5 * (9 - place)) & 31)::integer
        FROM generate_series(0, 9) AS place
        UNION ALL
        SELECT 10 + byte, get_byte(chance, byte) & 31
        FROM uuid_send(gen_random_uuid()) AS chance, generate_series(0, 15) AS byte
    ) AS digits (place, digit);
END;

GRANT EXECUTE ON FUNCTION storekit.now(), storekit.current_tenant(), storekit.current_actor(), storekit.new_id(),
    storekit.new_ref_id() TO storekit_app, storekit_worker, storekit_auditor;
