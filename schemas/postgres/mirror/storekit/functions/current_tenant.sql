-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.current_tenant()
 RETURNS uuid
 LANGUAGE sql
 STABLE
RETURN (NULLIF(current_setting('storekit.tenant'::text, true), ''::text))::uuid;

ALTER FUNCTION storekit.current_tenant() OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.current_tenant() TO storekit_app;
GRANT EXECUTE ON FUNCTION storekit.current_tenant() TO storekit_auditor;
GRANT EXECUTE ON FUNCTION storekit.current_tenant() TO storekit_reports;
GRANT EXECUTE ON FUNCTION storekit.current_tenant() TO storekit_worker;
