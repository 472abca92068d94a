-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.event_type (
    type text NOT NULL,
    entity text NOT NULL,
    CONSTRAINT event_type_pkey PRIMARY KEY (type),
    CONSTRAINT event_type_entity_fkey FOREIGN KEY (entity) REFERENCES storekit.managed(entity)
);

ALTER TABLE storekit.event_type OWNER TO storekit_owner;
GRANT SELECT ON storekit.event_type TO storekit_worker;
