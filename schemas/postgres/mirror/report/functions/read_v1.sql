-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION report.read_v1(p_actor text, p_report text)
 RETURNS SETOF jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO, MDY'
 SET "IntervalStyle" TO 'postgres'
 SET bytea_output TO 'hex'
 SET extra_float_digits TO '1'
 SET standard_conforming_strings TO 'on'
 SET row_security TO 'on'
 SET enable_seqscan TO 'on'
 SET enable_sort TO 'on'
 SET plan_cache_mode TO 'auto'
 SET jit TO 'off'
AS $function$
BEGIN
    IF coalesce(p_actor, '') = '' THEN
        RAISE EXCEPTION 'an actor is required' USING ERRCODE = 'SK400';
    ELSIF NOT EXISTS (
        SELECT FROM pg_class AS c
        WHERE c.relnamespace = 'report'::regnamespace AND c.relname = p_report AND c.relkind = 'v'
          AND c.relowner = 'storekit_reports'::regrole
    ) THEN
        RAISE EXCEPTION 'there is no report %', coalesce(p_report, 'null') USING ERRCODE = 'SK400',
            HINT = 'create it in a migration: SET LOCAL ROLE storekit_reports; CREATE VIEW report.name AS ...';
    END IF;
    INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, actor)
    VALUES (storekit.nil(), 'report.' || p_report, storekit.new_ref_id(), 1, 'report.read', p_actor);
    RETURN QUERY EXECUTE format('SELECT to_jsonb(r) FROM report.%I AS r', p_report);
END
$function$;

ALTER FUNCTION report.read_v1(text,text) OWNER TO storekit_reports;
GRANT EXECUTE ON FUNCTION report.read_v1(text,text) TO storekit_reporter;
