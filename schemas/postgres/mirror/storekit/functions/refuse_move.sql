-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.refuse_move()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RAISE EXCEPTION 'part % cannot %', OLD.part_id,
        CASE WHEN TG_OP = 'DELETE' THEN 'be deleted while ' || OLD.state
             WHEN OLD.state <> NEW.state THEN 'change from ' || OLD.state || ' to ' || NEW.state
                  || ' now: it is held or retained, its upload URL is valid, or its purge date is not reached'
             ELSE 'change its identity, or shorten its retention or its signature' END
        USING ERRCODE = 'SK002';
END
$function$;

ALTER FUNCTION storekit.refuse_move() OWNER TO storekit_owner;
