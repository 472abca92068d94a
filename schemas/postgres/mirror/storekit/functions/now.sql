-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.now()
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
RETURN transaction_timestamp();

ALTER FUNCTION storekit.now() OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.now() TO storekit_app;
GRANT EXECUTE ON FUNCTION storekit.now() TO storekit_auditor;
GRANT EXECUTE ON FUNCTION storekit.now() TO storekit_reports;
GRANT EXECUTE ON FUNCTION storekit.now() TO storekit_worker;
COMMENT ON FUNCTION storekit.now() IS 'The only clock of storekit: the time at which the transaction began.';
