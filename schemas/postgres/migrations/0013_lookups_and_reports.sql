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
-- No role may select from it: only report.read_v1 does, and it records an event of who read which report.

CREATE SCHEMA report;
GRANT USAGE ON SCHEMA report TO storekit_reporter;
GRANT USAGE, CREATE ON SCHEMA report TO storekit_reports;
GRANT USAGE ON SCHEMA storekit TO storekit_reports;
GRANT EXECUTE ON FUNCTION storekit.now(), storekit.nil(), storekit.current_tenant(), storekit.current_actor(),
    storekit.new_ref_id() TO storekit_reports;
GRANT INSERT (tenant_id, entity, ref_id, version, type, actor) ON storekit.event_inbox TO storekit_reports;
CREATE POLICY report ON storekit.event_inbox FOR INSERT TO storekit_reports
    WITH CHECK (tenant_id = storekit.nil() AND starts_with(entity, 'report.') AND type = 'report.read');

SET LOCAL ROLE storekit_reports;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- Read a report, and record in the same transaction who read it. A report reads whole tables, so no kind of plan is
-- forbidden.
CREATE FUNCTION report.read_v1(p_actor text, p_report text) RETURNS SETOF jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
SET bytea_output = 'hex' SET extra_float_digits = 1 SET standard_conforming_strings = on SET row_security = on
SET enable_seqscan = on SET enable_sort = on SET plan_cache_mode = auto SET jit = off AS $$
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
$$;

GRANT EXECUTE ON FUNCTION report.read_v1(text, text) TO storekit_reporter;

SET LOCAL ROLE storekit_owner;
