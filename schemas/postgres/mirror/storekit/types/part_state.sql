-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TYPE storekit.part_state AS ENUM (
    'pending',
    'committed',
    'aborted',
    'purging',
    'swept',
    'gone'
);

ALTER TYPE storekit.part_state OWNER TO storekit_owner;
