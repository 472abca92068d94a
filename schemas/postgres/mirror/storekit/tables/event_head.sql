-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.event_head (
    one boolean NOT NULL DEFAULT true,
    pos bigint NOT NULL,
    sequenced_on timestamp with time zone NOT NULL,
    complete_through timestamp with time zone,
    room_until bigint NOT NULL,
    partition_size bigint NOT NULL,
    CONSTRAINT event_head_pkey PRIMARY KEY (one),
    CONSTRAINT event_head_one_check CHECK (one),
    CONSTRAINT event_head_partition_size_check CHECK (partition_size > 0)
);

ALTER TABLE storekit.event_head OWNER TO storekit_owner;
GRANT SELECT ON storekit.event_head TO storekit_app;
GRANT SELECT ON storekit.event_head TO storekit_auditor;
GRANT SELECT ON storekit.event_head TO storekit_worker;
GRANT UPDATE ON storekit.event_head TO storekit_worker;
