-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.current_actor()
 RETURNS text
 LANGUAGE sql
 STABLE
RETURN COALESCE(NULLIF(current_setting('storekit.actor'::text, true), ''::text), (SESSION_USER)::text);

ALTER FUNCTION storekit.current_actor() OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.current_actor() TO storekit_app;
GRANT EXECUTE ON FUNCTION storekit.current_actor() TO storekit_auditor;
GRANT EXECUTE ON FUNCTION storekit.current_actor() TO storekit_reports;
GRANT EXECUTE ON FUNCTION storekit.current_actor() TO storekit_worker;
