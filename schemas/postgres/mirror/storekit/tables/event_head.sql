-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.event_head (
    one boolean NOT NULL DEFAULT true,
    pos bigint NOT NULL,
    CONSTRAINT event_head_pkey PRIMARY KEY (one),
    CONSTRAINT event_head_one_check CHECK (one)
);

ALTER TABLE storekit.event_head OWNER TO storekit_owner;
GRANT SELECT ON storekit.event_head TO storekit_worker;
