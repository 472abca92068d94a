-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.new_id()
 RETURNS uuid
 LANGUAGE sql
RETURN (encode(set_bit(set_bit(OVERLAY(uuid_send(gen_random_uuid()) PLACING SUBSTRING(int8send(((EXTRACT(epoch FROM storekit.now()) * (1000)::numeric))::bigint) FROM 3) FROM 1 FOR 6), (52)::bigint, 1), (53)::bigint, 1), 'hex'::text))::uuid;

ALTER FUNCTION storekit.new_id() OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.new_id() TO storekit_app;
GRANT EXECUTE ON FUNCTION storekit.new_id() TO storekit_auditor;
GRANT EXECUTE ON FUNCTION storekit.new_id() TO storekit_worker;
