-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.record_delete()
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
DECLARE
    v_dropped uuid[];
BEGIN
    WITH gone AS MATERIALIZED (
        SELECT _old.tenant_id, _old.ref_id, _old.version, to_jsonb(_old) - 'parts_live' AS before FROM old_rows AS _old
    ), recorded AS (
        -- One more than the last version, so that the versions in the events of a row always increase.
        INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, before)
        SELECT g.tenant_id, TG_ARGV[0], g.ref_id, g.version + 1, TG_ARGV[0] || '.deleted', g.before
        FROM gone AS g
        ORDER BY g.ref_id
    )
    SELECT array_agg((g.before ->> (field || '_ref'))::uuid) INTO v_dropped
    FROM gone AS g, unnest(TG_ARGV[2:]) AS field
    WHERE g.before ->> (field || '_ref') IS NOT NULL;
    PERFORM storekit.supersede(v_dropped);
    RETURN NULL;
END
$function$;

ALTER FUNCTION storekit.record_delete() OWNER TO storekit_owner;
