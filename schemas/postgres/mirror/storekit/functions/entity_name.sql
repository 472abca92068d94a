-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.entity_name(p_name text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
RETURN CASE WHEN starts_with(p_name, 'public.'::text) THEN substr(p_name, 8) ELSE p_name END;

ALTER FUNCTION storekit.entity_name(text) OWNER TO storekit_owner;
