-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.find_writable(p_name text)
 RETURNS storekit.managed
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_table storekit.managed := storekit.find_managed(p_name);
BEGIN
    IF (v_table.scope = 'global') <> (storekit.current_tenant() = storekit.nil()) THEN
        RAISE EXCEPTION 'table % is of scope %, the tenant of this transaction is %',
            v_table.entity, v_table.scope, storekit.current_tenant() USING ERRCODE = 'SK403';
    END IF;
    RETURN v_table;
END
$function$;

ALTER FUNCTION storekit.find_writable(text) OWNER TO storekit_owner;
