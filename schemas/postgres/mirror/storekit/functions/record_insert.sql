-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.record_insert()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO, MDY'
 SET "IntervalStyle" TO 'postgres'
 SET bytea_output TO 'hex'
 SET extra_float_digits TO '1'
 SET row_security TO 'on'
AS $function$
#variable_conflict use_variable
BEGIN
    INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, after)
    SELECT _new.tenant_id, TG_ARGV[0], _new.ref_id, _new.version, TG_ARGV[0] || '.created', to_jsonb(_new) - 'parts_live'
    FROM new_rows AS _new  -- no field begins with _: a column with the name of an alias would hide the alias
    ORDER BY _new.ref_id;
    RETURN NULL;
END
$function$;

ALTER FUNCTION storekit.record_insert() OWNER TO storekit_owner;
