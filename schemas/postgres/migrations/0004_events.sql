-- Events: the inbox that triggers write to, the log that the sequencer moves events to, and a view of both.

-- Triggers write to this table, in the transaction of the change. The sequencer (not in this release) moves events to
-- domain_event after their transaction has committed, and numbers them without gaps, so that a reader that stores the
-- last position misses no event. With CACHE 1 an id is assigned while the row is locked, so the ids of the events of
-- one row are in the order of its versions.
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
    occurred_on    timestamptz      NOT NULL DEFAULT storekit.now(),
    -- Set by a commit for the operations that have a reason, or by hand: SELECT set_config('storekit.reason', '...', true).
    reason         text             DEFAULT nullif(current_setting('storekit.reason', true), '')
);
CREATE INDEX event_inbox_row ON storekit.event_inbox (tenant_id, ref_id);

-- The log. `pos` numbers all events, `seq` those of one tenant; each hash covers the event and the hash before it.
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
    reason         text,
    PRIMARY KEY (pos)
) PARTITION BY RANGE (pos);
CREATE INDEX domain_event_row ON storekit.domain_event (tenant_id, ref_id, pos);
CREATE INDEX domain_event_seq ON storekit.domain_event (tenant_id, seq);
-- The sequencer creates the next partition. If it is late, events stay in the inbox, and no write fails. Old events
-- will be removed by dropping a whole partition, so none may be large: ten million events take some gigabytes.
CREATE TABLE storekit.domain_event_0001 PARTITION OF storekit.domain_event FOR VALUES FROM (1) TO (10000001);

-- The last position. The sequencer locks this row, so that only one process numbers events at a time.
CREATE TABLE storekit.event_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    pos bigint  NOT NULL
);
INSERT INTO storekit.event_head (pos) VALUES (0);

-- The end of each tenant's chain of hashes.
CREATE TABLE storekit.tenant_head (
    tenant_id uuid   PRIMARY KEY,
    seq       bigint NOT NULL,
    hash      bytea  NOT NULL
);

CREATE VIEW storekit.event WITH (security_invoker = true) AS
SELECT pos, seq, id, event_id, tenant_id, entity, ref_id, version, type, before, after,
       actor, "session_user", write_id, occurred_on, prev_hash, hash, reason
FROM storekit.domain_event
UNION ALL
SELECT NULL, NULL, id, event_id, tenant_id, entity, ref_id, version, type, before, after,
       actor, "session_user", write_id, occurred_on, NULL, NULL, reason
FROM storekit.event_inbox;
