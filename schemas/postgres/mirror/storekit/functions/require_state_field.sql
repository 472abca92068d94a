-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.require_state_field(p_entity text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_table storekit.managed := storekit.find_writable(p_entity);
    v_field text             := storekit.state_field(v_table.entity);
BEGIN
    IF v_field IS NULL THEN
        RAISE EXCEPTION 'table % has no state machine', v_table.entity USING ERRCODE = 'SK400',
            HINT = 'declare it in the class: Annotated[Status, moves({...})]';
    END IF;
    RETURN v_field;
END
$function$;

ALTER FUNCTION storekit.require_state_field(text) OWNER TO storekit_owner;
