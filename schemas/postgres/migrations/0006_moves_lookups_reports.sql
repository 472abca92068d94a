-- What goes around save: moves of a state, the look-up before the tenant is known, reports over all tenants.

-- Move one row's state. It is an update that must move: staying where it is counts as a move of its own.
CREATE FUNCTION storekit.transition_v1(
    p_tenant uuid, p_actor text, p_write_id uuid, p_entity text, p_ref_id text, p_to text,
    p_reason text, p_expected_version bigint
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET enable_seqscan = off SET lock_timeout = '5s' AS $$
DECLARE
    v_table storekit.managed;
    v_field text;
    v_from  text;
    v_reply jsonb;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    v_reply := storekit.own_write(p_tenant, p_write_id);
    IF v_reply IS NOT NULL THEN
        RETURN v_reply;  -- asked again after its answer was lost: the row has moved already
    END IF;
    v_table := storekit.find_writable(p_entity);
    v_field := storekit.state_field(v_table.entity);
    IF v_field IS NULL THEN
        RAISE EXCEPTION 'table % has no state machine', v_table.entity USING ERRCODE = 'SK400',
            HINT = 'declare it on the model: Annotated[Status, moves({...})]';
    END IF;
    PERFORM set_config('storekit.reason', coalesce(p_reason, ''), true);
    EXECUTE format('SELECT t.%I::text FROM %I.%I AS t WHERE t.tenant_id = $1 AND t.ref_id = $2%s FOR NO KEY UPDATE',
        v_field, v_table.schema_name, v_table.table_name,
        CASE WHEN v_table.soft_delete THEN ' AND t.deleted_on IS NULL' ELSE '' END)
    INTO v_from USING p_tenant, p_ref_id;
    -- The row's trigger sees moves alone. A row that is not there, or hidden, is refused by the write itself.
    IF v_from = p_to AND NOT EXISTS (
        SELECT FROM storekit.move AS m WHERE m.entity = v_table.entity AND m.from_state = v_from AND m.to_state = p_to
    ) THEN
        PERFORM storekit.refuse_state(v_table.entity, p_ref_id, v_from, p_to);
    END IF;
    v_reply := storekit.commit_v1(p_tenant, p_actor, p_write_id, NULL, NULL, NULL, jsonb_build_array(jsonb_build_object(
        'entity', v_table.entity, 'op', 'update', 'columns', ARRAY[v_field], 'refs', '{}'::text[],
        'rows', jsonb_build_array(jsonb_build_object(
            'ref_id', p_ref_id, v_field, p_to, 'expected_version', p_expected_version)))));
    PERFORM set_config('storekit.reason', '', true);
    RETURN v_reply;
END
$$;

-- Find a row, and with it its tenant, by the digest of a secret that only its bearer knows.
-- Null when there is none; and when there are two, since then it is nobody's proof.
CREATE FUNCTION storekit.lookup_v1(p_entity text, p_value text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET enable_seqscan = off AS $$
DECLARE
    v_table storekit.managed := storekit.find_managed(p_entity);
    v_field text := (SELECT f.field FROM storekit.field AS f WHERE f.table_name = v_table.entity AND f.kind = 'column');
    v_found jsonb;
BEGIN
    IF v_field IS NULL OR coalesce(p_value, '') = '' THEN
        RAISE EXCEPTION 'table % is not looked up by a value, or none was given', v_table.entity USING ERRCODE = 'SK400';
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

GRANT EXECUTE ON FUNCTION
    storekit.transition_v1(uuid, text, uuid, text, text, text, text, bigint), storekit.lookup_v1(text, text)
TO storekit_app;

-- Reports. A view in schema `report` that belongs to storekit_reports reads the rows of all tenants; nobody may
-- select from it, report.read_v1 alone does, and leaves an event of who read what.

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

CREATE FUNCTION report.read_v1(p_actor text, p_report text) RETURNS SETOF jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    IF coalesce(p_actor, '') = '' THEN
        RAISE EXCEPTION 'no actor was named' USING ERRCODE = 'SK400';
    ELSIF NOT EXISTS (
        SELECT FROM pg_class AS c
        WHERE c.relnamespace = 'report'::regnamespace AND c.relname = p_report AND c.relkind = 'v'
          AND c.relowner = 'storekit_reports'::regrole
    ) THEN
        RAISE EXCEPTION 'there is no report %', coalesce(p_report, 'null') USING ERRCODE = 'SK400',
            HINT = 'a migration makes it: SET LOCAL ROLE storekit_reports; CREATE VIEW report.name AS ...';
    END IF;
    INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, actor)
    VALUES (storekit.nil(), 'report.' || p_report, storekit.new_ref_id(), 1, 'report.read', p_actor);
    RETURN QUERY EXECUTE format('SELECT to_jsonb(r) FROM report.%I AS r', p_report);
END
$$;

GRANT EXECUTE ON FUNCTION report.read_v1(text, text) TO storekit_reporter;

SET LOCAL ROLE storekit_owner;
