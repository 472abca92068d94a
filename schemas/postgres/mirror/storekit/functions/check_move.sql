-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.check_move()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
#variable_conflict use_variable
DECLARE
    v_from text := '';
    v_to   text := to_jsonb(NEW) ->> TG_ARGV[1];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        v_from := to_jsonb(OLD) ->> TG_ARGV[1];
    END IF;
    IF NOT EXISTS (
        SELECT FROM storekit.move AS m WHERE m.entity = TG_ARGV[0] AND m.from_state = v_from AND m.to_state = v_to
    ) THEN
        PERFORM storekit.refuse_state(TG_ARGV[0], NEW.ref_id, v_from, v_to);
    END IF;
    RETURN NEW;
END
$function$;

ALTER FUNCTION storekit.check_move() OWNER TO storekit_owner;
