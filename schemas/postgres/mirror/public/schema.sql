-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

GRANT CREATE ON SCHEMA public TO storekit_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
GRANT USAGE ON SCHEMA public TO storekit_owner;
