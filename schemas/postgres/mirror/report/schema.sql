-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

ALTER SCHEMA report OWNER TO storekit_owner;
GRANT CREATE ON SCHEMA report TO storekit_reports;
GRANT USAGE ON SCHEMA report TO storekit_reporter;
GRANT USAGE ON SCHEMA report TO storekit_reports;
