-- Events: the inbox that triggers write to, the log that the sequencer moves events to, and a view of both.

-- Triggers write to this table, in the transaction of the change. The sequencer (0016_sequencer.sql) moves events to
-- domain_event after their transaction has committed, and numbers them without gaps, so that a reader that stores the
-- last position misses no event. With CACHE 1 an id is assigned while the row is locked, so the ids of the events of
-- one row are in the order of its versions.
--
-- `login` is the Postgres login of the change: it is not called session_user, because that name without quotes is the
-- login of the reader. `occurred_on` is the start of the transaction of the change. on_behalf_of, context and reason
-- come from the settings of the transaction, which a commit sets, or SQL by hand:
--   SELECT set_config('storekit.reason', '...', true);
CREATE TABLE storekit.event_inbox (
    id           bigint           GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    event_id     uuid             NOT NULL DEFAULT gen_random_uuid(),
    tenant_id    uuid             NOT NULL,
    entity       text             NOT NULL,
    ref_id       text COLLATE "C" NOT NULL,
    version      bigint           NOT NULL,
    type         text             NOT NULL,
    before       jsonb,
    after        jsonb,
    actor        text             NOT NULL DEFAULT storekit.current_actor(),
    on_behalf_of text             DEFAULT nullif(current_setting('storekit.on_behalf_of', true), ''),
    login        text             NOT NULL DEFAULT session_user,
    write_id     uuid             DEFAULT nullif(current_setting('storekit.write_id', true), '')::uuid,
    occurred_on  timestamptz      NOT NULL DEFAULT storekit.now(),
    reason       text             DEFAULT nullif(current_setting('storekit.reason', true), ''),
    context      jsonb            DEFAULT nullif(current_setting('storekit.context', true), '')::jsonb,
    CONSTRAINT event_context CHECK (jsonb_typeof(context) = 'object' AND octet_length(context::text) <= 4096)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);  -- moved events leave dead rows
CREATE INDEX event_inbox_row ON storekit.event_inbox (tenant_id, ref_id);

-- The log. `pos` numbers all events, `seq` those of one tenant. 0016_sequencer.sql describes what `hash` covers.
-- before, after, reason, context and salt can be set to NULL without changing a hash, so that the values of a person can
-- be erased. The first three are `json`, which keeps the text that was hashed; `jsonb` prints it anew at each read.
CREATE TABLE storekit.domain_event (
    pos          bigint           NOT NULL,
    tenant_id    uuid             NOT NULL,
    seq          bigint           NOT NULL,
    id           bigint           NOT NULL,
    event_id     uuid             NOT NULL,
    entity       text             NOT NULL,
    ref_id       text COLLATE "C" NOT NULL,
    version      bigint           NOT NULL,
    type         text             NOT NULL,
    before       json,
    after        json,
    actor        text             NOT NULL,
    on_behalf_of text,
    login        text             NOT NULL,
    write_id     uuid,
    occurred_on  timestamptz      NOT NULL,
    sequenced_on timestamptz      NOT NULL,
    reason       text,
    context      json,
    -- SHA-256 of the content of each part that the change refers to, by field.
    parts        json             NOT NULL,
    salt         bytea,
    digest       bytea            NOT NULL,
    prev_hash    bytea            NOT NULL,
    hash         bytea            NOT NULL,
    PRIMARY KEY (pos)
) PARTITION BY RANGE (pos);
CREATE INDEX domain_event_row ON storekit.domain_event (tenant_id, ref_id, pos);
CREATE INDEX domain_event_seq ON storekit.domain_event (tenant_id, seq);
-- The sequencer creates the next partition. If it is late, events stay in the inbox, and no write fails. Old events
-- will be removed by dropping a whole partition, so none may be large: ten million events take some gigabytes.
CREATE TABLE storekit.domain_event_0001 PARTITION OF storekit.domain_event FOR VALUES FROM (1) TO (10000001);

-- The end of the log. The sequencer locks this row, so that only one process numbers events at a time.
CREATE TABLE storekit.event_head (
    one              boolean     PRIMARY KEY DEFAULT true CHECK (one),
    pos              bigint      NOT NULL,
    -- Every event with this or an earlier `sequenced_on` is in the log.
    sequenced_on     timestamptz NOT NULL,
    -- Every event with this or an earlier `occurred_on` is in the log. NULL until the sequencer has found out.
    complete_through timestamptz,
    -- The first position without a partition.
    room_until       bigint      NOT NULL,
    partition_size   bigint      NOT NULL CHECK (partition_size > 0)
);
INSERT INTO storekit.event_head (pos, sequenced_on, room_until, partition_size)
VALUES (0, storekit.now(), 10000001, 10000000);

-- The end of each tenant's chain of hashes.
CREATE TABLE storekit.tenant_head (
    tenant_id uuid   PRIMARY KEY,
    seq       bigint NOT NULL,
    hash      bytea  NOT NULL
);

CREATE VIEW storekit.event WITH (security_invoker = true) AS
SELECT pos, seq, id, event_id, tenant_id, entity, ref_id, version, type, before::jsonb, after::jsonb,
       actor, on_behalf_of, login, write_id, occurred_on, sequenced_on, reason, context::jsonb, prev_hash, hash
FROM storekit.domain_event
UNION ALL
SELECT NULL, NULL, id, event_id, tenant_id, entity, ref_id, version, type, before, after,
       actor, on_behalf_of, login, write_id, occurred_on, NULL, reason, context, NULL, NULL
FROM storekit.event_inbox;
