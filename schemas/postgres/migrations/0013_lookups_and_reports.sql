-- Reads beyond one tenant: the look-up before the tenant is known, and reports over all tenants.

-- Find a row, and with it its tenant, by the digest of a secret, such as a session's token. NULL if there is no such
-- row, or more than one, because an ambiguous digest identifies nobody. The policy `lookup` lets only this function
-- see rows of all tenants, and only rows with this value.
CREATE FUNCTION storekit.lookup_v1(p_entity text, p_value text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET standard_conforming_strings = on
SET row_security = on SET enable_seqscan = off SET enable_sort = on SET plan_cache_mode = auto SET jit = off
SET lock_timeout = '5s' AS $$
DECLARE
    v_table storekit.managed := storekit.find_managed(p_entity);
    v_field text := (SELECT f.field FROM storekit.field AS f WHERE f.table_name = v_table.entity AND f.kind = 'column');
    v_found jsonb;
BEGIN
    IF v_field IS NULL OR coalesce(p_value, '') = '' THEN
        RAISE EXCEPTION 'table % has no look-up column, or the value is empty', v_table.entity USING ERRCODE = 'SK400';
    END IF;
    PERFORM set_config('storekit.lookup', p_value, true);
    EXECUTE format('SELECT jsonb_agg(jsonb_build_object(''tenant_id'', t.tenant_id, ''ref_id'', t.ref_id))
        FROM (SELECT tenant_id, ref_id FROM %I.%I WHERE %I = $1%s LIMIT 2) AS t',
        v_table.schema_name, v_table.table_name, v_field,
        CASE WHEN v_table.soft_delete THEN ' AND deleted_on IS NULL' ELSE '' END) INTO v_found USING p_value;
    PERFORM set_config('storekit.lookup', '', true);
    RETURN CASE WHEN jsonb_array_length(v_found) = 1 THEN v_found -> 0 END;
END
$$;

GRANT EXECUTE ON FUNCTION storekit.lookup_v1(text, text) TO storekit_app;

-- Reports. A report is a view in the schema `report` that storekit_reports owns, so it reads the rows of all tenants.
-- No role may select from it: only report.read_v1 does, and only after an event that names the reader and the report.

CREATE SCHEMA report;
GRANT USAGE ON SCHEMA report TO storekit_reporter;
GRANT USAGE, CREATE ON SCHEMA report TO storekit_reports;
GRANT USAGE ON SCHEMA storekit TO storekit_reports;
GRANT EXECUTE ON FUNCTION storekit.now(), storekit.nil(), storekit.current_tenant(), storekit.current_actor(),
    storekit.new_ref_id() TO storekit_reports;
GRANT INSERT (tenant_id, entity, ref_id, version, type, after, actor) ON storekit.event_inbox TO storekit_reports;
GRANT SELECT (tenant_id, entity, ref_id, type, after, actor, login, occurred_on)
    ON storekit.event_inbox, storekit.domain_event TO storekit_reports;
CREATE POLICY report ON storekit.event_inbox FOR INSERT TO storekit_reports
    WITH CHECK (tenant_id = storekit.nil() AND starts_with(entity, 'report.') AND type = 'report.read');
CREATE POLICY recorded ON storekit.event_inbox FOR SELECT TO storekit_reports
    USING (tenant_id = storekit.nil() AND type = 'report.read');
CREATE POLICY recorded ON storekit.domain_event FOR SELECT TO storekit_reports
    USING (tenant_id = storekit.nil() AND type = 'report.read');

SET LOCAL ROLE storekit_reports;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- Read a report with two calls, each in its own transaction. The first call records an event, which names the reader
-- and the report, under an id that the caller chooses, and returns no row. The second call with this id returns the
-- rows, at most five minutes later, if the event was committed. With one call the reader could roll the event back and
-- keep the rows. The event contains the id of its transaction: a transaction also sees the events that it has not
-- committed yet. A report reads whole tables, so no kind of plan is forbidden.
CREATE FUNCTION report.read_v1(p_actor text, p_report text, p_read text DEFAULT NULL) RETURNS SETOF jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
SET bytea_output = 'hex' SET extra_float_digits = 1 SET standard_conforming_strings = on SET row_security = on
SET enable_seqscan = on SET enable_sort = on SET plan_cache_mode = auto SET jit = off AS $$
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
$$;

GRANT EXECUTE ON FUNCTION report.read_v1(text, text, text) TO storekit_reporter;

SET LOCAL ROLE storekit_owner;
