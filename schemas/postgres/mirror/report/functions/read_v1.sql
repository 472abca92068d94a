-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION report.read_v1(p_actor text, p_report text, p_read text DEFAULT NULL::text)
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
DECLARE
    v_read  text := coalesce(p_read, storekit.new_ref_id());
    v_event record;
BEGIN
    IF coalesce(p_actor, '') = '' THEN
        RAISE EXCEPTION 'an actor is required' USING ERRCODE = 'SK400';
    ELSIF v_read !~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$' THEN
        RAISE EXCEPTION 'the id of the read must be a ULID' USING ERRCODE = 'SK400';
    ELSIF NOT EXISTS (
        SELECT FROM pg_class AS c
        WHERE c.relnamespace = 'report'::regnamespace AND c.relname = p_report AND c.relkind = 'v'
          AND c.relowner = 'storekit_reports'::regrole
    ) THEN
        RAISE EXCEPTION 'there is no report %', coalesce(p_report, 'null') USING ERRCODE = 'SK400',
            HINT = 'create it in a migration: SET LOCAL ROLE storekit_reports; CREATE VIEW report.name AS ...';
    END IF;
    SELECT e.* INTO v_event FROM (
        SELECT i.entity, i.actor, i.login, i.after, i.occurred_on FROM storekit.event_inbox AS i
        WHERE i.tenant_id = storekit.nil() AND i.ref_id = v_read AND i.type = 'report.read'
        UNION ALL
        SELECT d.entity, d.actor, d.login, d.after::jsonb, d.occurred_on FROM storekit.domain_event AS d
        WHERE d.tenant_id = storekit.nil() AND d.ref_id = v_read AND d.type = 'report.read') AS e;
    IF NOT FOUND THEN
        INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, after, actor)
        VALUES (storekit.nil(), 'report.' || p_report, v_read, 1, 'report.read',
                jsonb_build_object('transaction', pg_current_xact_id()::text), p_actor);
    ELSIF v_event.after ->> 'transaction' = pg_current_xact_id()::text THEN
        RAISE EXCEPTION 'the event of this read is not committed yet' USING ERRCODE = 'SK400',
            HINT = 'commit, and read the report in another transaction';
    ELSIF (v_event.entity, v_event.actor, v_event.login) IS DISTINCT FROM ('report.' || p_report, p_actor, session_user::text)
          OR v_event.occurred_on < storekit.now() - interval '5 minutes' THEN
        RAISE EXCEPTION 'the read % belongs to another login, actor or report, or is older than five minutes', v_read
            USING ERRCODE = 'SK400', HINT = 'begin again with a new id';
    ELSE
        RETURN QUERY EXECUTE format('SELECT to_jsonb(r) FROM report.%I AS r', p_report);
    END IF;
END
$function$;

ALTER FUNCTION report.read_v1(text,text,text) OWNER TO storekit_reports;
GRANT EXECUTE ON FUNCTION report.read_v1(text,text,text) TO storekit_reporter;
