-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.find_managed(p_name text)
 RETURNS storekit.managed
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_found storekit.managed;
BEGIN
    SELECT * INTO v_found FROM storekit.managed AS m WHERE m.entity = storekit.entity_name(p_name);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % is not managed by storekit', coalesce(p_name, 'null')
            USING ERRCODE = 'SK424', HINT = 'call storekit.manage() in the migration that creates the table';
    END IF;
    RETURN v_found;
END
$function$;

ALTER FUNCTION storekit.find_managed(text) OWNER TO storekit_owner;
