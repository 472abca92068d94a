-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE AGGREGATE storekit.chain(bytea,bytea) (SFUNC = storekit.chain_link, STYPE = bytea);

ALTER AGGREGATE storekit.chain(bytea,bytea) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.chain(bytea,bytea) TO storekit_worker;
