-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.held(p_left interval)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
RETURN jsonb_build_object('outcome', 'held', 'lease_left', (EXTRACT(epoch FROM p_left))::double precision);

ALTER FUNCTION storekit.held(interval) OWNER TO storekit_owner;
