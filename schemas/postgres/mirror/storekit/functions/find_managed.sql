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
        RAISE EXCEPTION 'table % %', coalesce(p_name, 'null'),
            CASE WHEN EXISTS (
                SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                WHERE storekit.entity_name(concat(n.nspname, '.', c.relname)) = storekit.entity_name(p_name))
            THEN 'is not managed by storekit' ELSE 'does not exist' END
            USING ERRCODE = 'SK424', HINT = 'run migrate; the migration that creates the table must call storekit.manage()';
    END IF;
    RETURN v_found;
END
$function$;

ALTER FUNCTION storekit.find_managed(text) OWNER TO storekit_owner;
