-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

ALTER SCHEMA storekit OWNER TO storekit_owner;
GRANT USAGE ON SCHEMA storekit TO storekit_app;
GRANT USAGE ON SCHEMA storekit TO storekit_auditor;
GRANT USAGE ON SCHEMA storekit TO storekit_reporter;
GRANT USAGE ON SCHEMA storekit TO storekit_reports;
GRANT USAGE ON SCHEMA storekit TO storekit_worker;
