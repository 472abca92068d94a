-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.wall_clock()
 RETURNS timestamp with time zone
 LANGUAGE sql
RETURN clock_timestamp();

ALTER FUNCTION storekit.wall_clock() OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.wall_clock() TO storekit_worker;
