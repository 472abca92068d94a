-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.lease (
    name text NOT NULL,
    term bigint NOT NULL,
    holder text NOT NULL,
    until timestamp with time zone NOT NULL,
    heartbeat timestamp with time zone NOT NULL,
    CONSTRAINT lease_pkey PRIMARY KEY (name)
);

ALTER TABLE storekit.lease OWNER TO storekit_owner;
GRANT INSERT ON storekit.lease TO storekit_worker;
GRANT SELECT ON storekit.lease TO storekit_worker;
GRANT UPDATE ON storekit.lease TO storekit_worker;
