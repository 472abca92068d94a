-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.chain_link(p_state bytea, p_first bytea, p_head bytea)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN sha256((('\x73746f72656b6974206576656e7420310a'::bytea || COALESCE(p_state, p_first)) || p_head));

ALTER FUNCTION storekit.chain_link(bytea,bytea,bytea) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.chain_link(bytea,bytea,bytea) TO storekit_worker;
