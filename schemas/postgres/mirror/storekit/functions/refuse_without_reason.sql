-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.refuse_without_reason()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.version = -1 THEN
            IF current_user = (SELECT pg_get_userbyid(c.relowner) FROM pg_class AS c WHERE c.oid = TG_RELID) THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION 'each change of % needs a reason', TG_ARGV[0] USING ERRCODE = 'SK411',
        HINT = 'pass reason=..., or before SQL of your own: SELECT set_config(''storekit.reason'', ''...'', true)';
END
$function$;

ALTER FUNCTION storekit.refuse_without_reason() OWNER TO storekit_owner;
