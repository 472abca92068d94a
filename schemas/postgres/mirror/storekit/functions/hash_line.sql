-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.hash_line(p_name text, p_value text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ((p_name || COALESCE((((' '::text || (octet_length(p_value))::text) || ' '::text) || p_value), ' -'::text)) || '
'::text);

ALTER FUNCTION storekit.hash_line(text,text) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.hash_line(text,text) TO storekit_worker;
