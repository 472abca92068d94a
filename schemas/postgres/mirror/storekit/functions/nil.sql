-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.nil()
 RETURNS uuid
 LANGUAGE sql
 IMMUTABLE
RETURN '00000000-0000-0000-0000-000000000000'::uuid;

ALTER FUNCTION storekit.nil() OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.nil() TO storekit_reports;
