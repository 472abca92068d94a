-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.move (
    entity text NOT NULL,
    field text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    CONSTRAINT move_pkey PRIMARY KEY (entity, from_state, to_state),
    CONSTRAINT move_to_state_check CHECK (to_state <> ''::text)
);

ALTER TABLE storekit.move OWNER TO storekit_owner;
GRANT SELECT ON storekit.move TO storekit_app;
GRANT SELECT ON storekit.move TO storekit_worker;
