-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.state_field(p_entity text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_fields text[] := ARRAY(SELECT DISTINCT m.field FROM storekit.move AS m WHERE m.entity = p_entity ORDER BY 1);
BEGIN
    IF cardinality(v_fields) > 1 THEN
        RAISE EXCEPTION 'table % has the state fields %; at most one is allowed', p_entity, v_fields
            USING ERRCODE = 'SK400';
    END IF;
    RETURN v_fields[1];
END
$function$;

ALTER FUNCTION storekit.state_field(text) OWNER TO storekit_owner;
