-- The ledger and what every later part stands on: clock, scope, ids, writes, parts, fields, events.

GRANT USAGE ON SCHEMA storekit TO storekit_app, storekit_worker, storekit_auditor, storekit_reporter;

-- Clock, scope and ids ------------------------------------------------------------------------------

CREATE FUNCTION storekit.now() RETURNS timestamptz LANGUAGE sql STABLE
RETURN transaction_timestamp();
COMMENT ON FUNCTION storekit.now() IS
    'The only clock of storekit: the transaction''s time, which errs to the safe side for leases and fences.';

CREATE FUNCTION storekit.current_tenant() RETURNS uuid LANGUAGE sql STABLE
RETURN nullif(current_setting('storekit.tenant', true), '')::uuid;

-- A hand-written statement that names no actor is its login's.
CREATE FUNCTION storekit.current_actor() RETURNS text LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('storekit.actor', true), ''), session_user);

-- uuid7: the milliseconds laid over the front of a uuid4, then its version bits 4 -> 7.
CREATE FUNCTION storekit.new_id() RETURNS uuid LANGUAGE sql VOLATILE
RETURN encode(
    set_bit(set_bit(
        overlay(uuid_send(gen_random_uuid()) PLACING
            substring(int8send((extract(epoch FROM storekit.now()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1),
    'hex')::uuid;

CREATE FUNCTION storekit.id_time(p_id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN to_timestamp(('x' || lpad(left(translate(p_id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0);

-- ULID: ten characters of milliseconds, sixteen of chance, in Crockford's alphabet.
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

-- Declarations ----------------------------------------------------------------------------------------

-- One row per part field, written by the migration that makes the entity's table.
CREATE TABLE storekit.field (
    table_name text     NOT NULL,
    field      text     NOT NULL CHECK (field ~ '^[a-z][a-z0-9_]{0,49}$'),
    kind       text     NOT NULL CHECK (kind IN ('column', 'blob', 'document')),
    ttl        interval CHECK (ttl > interval '0'),
    links      text[]   NOT NULL DEFAULT '{}',
    collection text     CHECK (collection ~ '^[a-z][a-z0-9_]*$'),
    PRIMARY KEY (table_name, field),
    CONSTRAINT field_document CHECK (
        (kind = 'document') = (collection IS NOT NULL) AND (kind = 'document' OR (ttl IS NULL AND links = '{}')))
);

-- One row per entity table, written by storekit.manage().
CREATE TABLE storekit.managed (
    entity      text    PRIMARY KEY,
    schema_name text    NOT NULL,
    table_name  text    NOT NULL,
    mutable     boolean NOT NULL,
    soft_delete boolean NOT NULL,
    scope       text    NOT NULL CHECK (scope IN ('tenant', 'global')),
    UNIQUE (schema_name, table_name)
);

CREATE TABLE storekit.event_type (
    type   text PRIMARY KEY,
    entity text NOT NULL REFERENCES storekit.managed
);

-- Writes and parts ------------------------------------------------------------------------------------

CREATE TYPE storekit.write_state AS ENUM ('pending', 'committed', 'aborted');
CREATE TYPE storekit.part_state AS ENUM ('pending', 'committed', 'aborted', 'purging', 'swept', 'gone');

CREATE TABLE storekit.write (
    tenant_id       uuid                 NOT NULL,
    write_id        uuid                 NOT NULL,
    state           storekit.write_state NOT NULL,
    idempotency_key text                 CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    fingerprint     bytea,
    lease_until     timestamptz,
    actor           text                 NOT NULL,
    created_on      timestamptz          NOT NULL DEFAULT storekit.now(),
    finished_on     timestamptz,
    result          jsonb,
    PRIMARY KEY (tenant_id, write_id),
    CONSTRAINT write_leased   CHECK (state <> 'pending' OR lease_until IS NOT NULL),
    CONSTRAINT write_finished CHECK ((state = 'pending') = (finished_on IS NULL)),
    CONSTRAINT write_bound    CHECK (idempotency_key IS NULL OR fingerprint IS NOT NULL)
) WITH (fillfactor = 80);
-- An abort frees the key in its own statement. NULL keys stay out, and with them every look-up by write_id.
CREATE UNIQUE INDEX write_key ON storekit.write (tenant_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL AND state IN ('pending', 'committed');

CREATE TABLE storekit.part (
    tenant_id     uuid                NOT NULL,
    part_id       uuid                NOT NULL,
    write_id      uuid                NOT NULL,
    state         storekit.part_state NOT NULL DEFAULT 'pending',
    -- The key that refs point at holds `live`, not `state`: a flip from pending then asks no foreign key.
    live          boolean             GENERATED ALWAYS AS (CASE WHEN state = 'committed' THEN true END) STORED,
    entity        text                NOT NULL,
    ref_id        text COLLATE "C"    NOT NULL CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    field         text                NOT NULL,
    store         text                NOT NULL CHECK (store IN ('s3', 'mongo')),
    key           text                NOT NULL,
    version_id    text,
    upload_id     text,
    size          bigint              CHECK (size >= 0),
    sha256        bytea               CHECK (length(sha256) = 32),
    media_type    text,
    filename      text,
    key_id        text,
    created_on    timestamptz         NOT NULL DEFAULT storekit.now(),
    expires_on    timestamptz,
    sign_until    timestamptz         NOT NULL,
    superseded_on timestamptz,
    purge_after   timestamptz,
    retain_until  timestamptz,
    legal_hold    boolean             NOT NULL DEFAULT false,
    sealed_on     timestamptz,
    PRIMARY KEY (tenant_id, part_id),
    UNIQUE (tenant_id, part_id, live),
    FOREIGN KEY (tenant_id, write_id) REFERENCES storekit.write,
    CONSTRAINT part_key CHECK (
        store <> 's3' OR key = tenant_id::text || '/' || entity || '/' || ref_id || '/' || field || '/' || part_id::text),
    CONSTRAINT part_whole CHECK (
        state <> 'committed'
        OR size IS NOT NULL AND sha256 IS NOT NULL AND (store <> 's3' OR version_id IS NOT NULL))
);
CREATE INDEX part_write ON storekit.part (write_id, tenant_id);

CREATE FUNCTION storekit.refuse_move() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'part % may not %', OLD.part_id,
        CASE WHEN TG_OP = 'DELETE' THEN 'be deleted while ' || OLD.state
             WHEN OLD.state <> NEW.state THEN 'go from ' || OLD.state || ' to ' || NEW.state
                  || ' now (held, retained, still signed or without a purge date)'
             ELSE 'change its identity, or shorten its retention or its signature' END
        USING ERRCODE = 'SK002';
END
$$;

-- The rules stand in the WHEN, so that a legal move costs no function call.
CREATE TRIGGER part_moves BEFORE UPDATE ON storekit.part FOR EACH ROW
WHEN (
    NOT (OLD.state = NEW.state OR CASE OLD.state
        WHEN 'pending'   THEN NEW.state IN ('committed', 'aborted')
        WHEN 'committed' THEN NEW.state = 'purging' AND NOT NEW.legal_hold
                              AND coalesce(NEW.retain_until <= storekit.now(), true)
                              AND coalesce(NEW.purge_after <= storekit.now(), false)
                              AND NEW.sign_until <= storekit.now()
        WHEN 'aborted'   THEN NEW.state = 'swept'
        WHEN 'purging'   THEN NEW.state = 'swept'
        WHEN 'swept'     THEN NEW.state = 'gone'
        ELSE false END)
    OR (OLD.tenant_id, OLD.part_id, OLD.write_id, OLD.entity, OLD.ref_id, OLD.field, OLD.store, OLD.key)
       <> (NEW.tenant_id, NEW.part_id, NEW.write_id, NEW.entity, NEW.ref_id, NEW.field, NEW.store, NEW.key)
    OR NEW.sign_until < OLD.sign_until
    OR OLD.retain_until IS NOT NULL AND coalesce(NEW.retain_until < OLD.retain_until, true))
EXECUTE FUNCTION storekit.refuse_move();

CREATE TRIGGER part_stays BEFORE DELETE ON storekit.part FOR EACH ROW
WHEN (OLD.state <> 'gone') EXECUTE FUNCTION storekit.refuse_move();

-- Events ------------------------------------------------------------------------------------------------

-- Triggers write here, in the change's own transaction; the sequencer moves what has committed.
CREATE TABLE storekit.event_inbox (
    id             bigint           GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    event_id       uuid             NOT NULL DEFAULT gen_random_uuid(),
    tenant_id      uuid             NOT NULL,
    entity         text             NOT NULL,
    ref_id         text COLLATE "C" NOT NULL,
    version        bigint           NOT NULL,
    type           text             NOT NULL,
    before         jsonb,
    after          jsonb,
    actor          text             NOT NULL DEFAULT storekit.current_actor(),
    "session_user" text             NOT NULL DEFAULT session_user,
    write_id       uuid             DEFAULT nullif(current_setting('storekit.write_id', true), '')::uuid,
    occurred_on    timestamptz      NOT NULL DEFAULT storekit.now()
);
CREATE INDEX event_inbox_row ON storekit.event_inbox (tenant_id, ref_id);

CREATE TABLE storekit.domain_event (
    pos            bigint           NOT NULL,
    tenant_id      uuid             NOT NULL,
    seq            bigint           NOT NULL,
    id             bigint           NOT NULL,
    event_id       uuid             NOT NULL,
    entity         text             NOT NULL,
    ref_id         text COLLATE "C" NOT NULL,
    version        bigint           NOT NULL,
    type           text             NOT NULL,
    before         jsonb,
    after          jsonb,
    actor          text             NOT NULL,
    "session_user" text             NOT NULL,
    write_id       uuid,
    occurred_on    timestamptz      NOT NULL,
    prev_hash      bytea,
    hash           bytea            NOT NULL,
    PRIMARY KEY (pos)
) PARTITION BY RANGE (pos);
CREATE INDEX domain_event_row ON storekit.domain_event (tenant_id, ref_id, pos);
CREATE INDEX domain_event_seq ON storekit.domain_event (tenant_id, seq);
-- The sequencer opens the next range; were it late, events would wait in the inbox and no write would fail.
CREATE TABLE storekit.domain_event_0001 PARTITION OF storekit.domain_event FOR VALUES FROM (1) TO (10000001);

CREATE TABLE storekit.event_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    pos bigint  NOT NULL
);
INSERT INTO storekit.event_head (pos) VALUES (0);

CREATE TABLE storekit.tenant_head (
    tenant_id uuid   PRIMARY KEY,
    seq       bigint NOT NULL,
    hash      bytea  NOT NULL
);

CREATE VIEW storekit.event WITH (security_invoker = true) AS
SELECT pos, seq, id, event_id, tenant_id, entity, ref_id, version, type, before, after,
       actor, "session_user", write_id, occurred_on, prev_hash, hash
FROM storekit.domain_event
UNION ALL
SELECT NULL, NULL, id, event_id, tenant_id, entity, ref_id, version, type, before, after,
       actor, "session_user", write_id, occurred_on, NULL, NULL
FROM storekit.event_inbox;

-- Who may see what --------------------------------------------------------------------------------------

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY '{write,part,event_inbox,domain_event,tenant_head,domain_event_0001}'::text[] LOOP
        EXECUTE format('ALTER TABLE storekit.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
        -- Statistics would take a tenant newer than themselves for empty, and look-ups would then read all its rows.
        EXECUTE format('ALTER TABLE storekit.%I ALTER COLUMN tenant_id SET STATISTICS 0', v_table);
        CONTINUE WHEN v_table = 'domain_event_0001';  -- read through its parent only: no policy, no grant
        EXECUTE format('CREATE POLICY tenant ON storekit.%I USING (tenant_id = storekit.current_tenant())', v_table);
        EXECUTE format('CREATE POLICY worker ON storekit.%I TO storekit_worker USING (true)', v_table);
        EXECUTE format('CREATE POLICY auditor ON storekit.%I FOR SELECT TO storekit_auditor USING (true)', v_table);
    END LOOP;
END
$$;
-- A backfill in a migration names no tenant, and still every change of a row is an event.
CREATE POLICY backfill ON storekit.event_inbox FOR INSERT TO storekit_owner WITH CHECK (true);

GRANT SELECT ON storekit.write, storekit.part, storekit.event_inbox, storekit.domain_event, storekit.event
    TO storekit_app, storekit_worker, storekit_auditor;
GRANT SELECT ON storekit.tenant_head TO storekit_worker, storekit_auditor;
GRANT SELECT ON storekit.event_head, storekit.field, storekit.managed, storekit.event_type TO storekit_worker;
GRANT EXECUTE ON FUNCTION storekit.now(), storekit.current_tenant(), storekit.current_actor(), storekit.new_id(),
    storekit.new_ref_id() TO storekit_app, storekit_worker, storekit_auditor;
