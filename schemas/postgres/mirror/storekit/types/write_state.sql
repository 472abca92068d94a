-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TYPE storekit.write_state AS ENUM (
    'pending',
    'committed',
    'aborted'
);

ALTER TYPE storekit.write_state OWNER TO storekit_owner;
