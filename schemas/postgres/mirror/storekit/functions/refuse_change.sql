-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET extra_float_digits TO '1'
AS $function$
#variable_conflict use_variable
DECLARE
    v_free text[] := '{version,deleted_on,deleted_by}';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        v_free := v_free || ARRAY(
            SELECT field || '_expired_on' FROM unnest(TG_ARGV[1:]) AS field
            UNION ALL
            SELECT field || '_ref' FROM unnest(TG_ARGV[1:]) AS field WHERE to_jsonb(NEW) -> (field || '_ref') = 'null');
        -- Compared as text: 1.0 and 1.00 are equal as numbers, but the stored value would change.
        IF (to_jsonb(OLD) - v_free)::text = (to_jsonb(NEW) - v_free)::text THEN
            RETURN NULL;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % may not be %', TG_ARGV[0], OLD.ref_id, lower(TG_OP) || 'd'
        USING ERRCODE = 'SK405', HINT = 'derive the class from Mutable, or save a new record';
END
$function$;

ALTER FUNCTION storekit.refuse_change() OWNER TO storekit_owner;
