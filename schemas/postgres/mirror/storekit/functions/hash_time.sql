-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.hash_time(p_time timestamp with time zone)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN to_char((p_time AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'::text);

ALTER FUNCTION storekit.hash_time(timestamp with time zone) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.hash_time(timestamp with time zone) TO storekit_worker;
