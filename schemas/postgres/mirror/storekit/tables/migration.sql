-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.migration (
    line text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    sha256 bytea NOT NULL,
    applied_on timestamp with time zone NOT NULL DEFAULT transaction_timestamp(),
    applied_by text NOT NULL DEFAULT SESSION_USER,
    CONSTRAINT migration_pkey PRIMARY KEY (line, number)
);

ALTER TABLE storekit.migration OWNER TO storekit_owner;
