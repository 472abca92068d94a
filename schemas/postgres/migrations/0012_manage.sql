-- storekit.manage('table') is called by the migration that creates or alters the table of an entity. It checks the
-- table, and creates its policies, grants, keys, triggers and writer. It can be repeated, also for a table with rows.

-- Protection --------------------------------------------------------------------------------------------

CREATE FUNCTION storekit.protect(p_table regclass, p_schema text, p_columns text[], p_mutable boolean, p_scope text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_columns text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(p_columns) AS c);
    v_lookup  text := (
        SELECT f.field FROM storekit.field AS f
        WHERE f.table_name = storekit.entity_name(p_schema || '.' || (SELECT relname FROM pg_class WHERE oid = p_table))
          AND f.kind = 'column');
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p_table);
    -- As in 0005_access.sql: the planner would expect no rows of a tenant that is newer than the statistics.
    EXECUTE format('ALTER TABLE %s ALTER COLUMN tenant_id SET STATISTICS 0', p_table);
    EXECUTE format('DROP POLICY IF EXISTS tenant ON %1$s; DROP POLICY IF EXISTS everybody ON %1$s;
        DROP POLICY IF EXISTS report ON %1$s; DROP POLICY IF EXISTS lookup ON %1$s;
        ALTER TABLE %1$s DROP CONSTRAINT IF EXISTS storekit_scope', p_table);
    EXECUTE format('CREATE POLICY tenant ON %s USING (tenant_id = storekit.current_tenant())', p_table);
    EXECUTE format('CREATE POLICY report ON %s FOR SELECT TO storekit_reports USING (true)', p_table);
    IF v_lookup IS NOT NULL THEN
        -- Only storekit.lookup_v1 acts as the owner and sets storekit.lookup.
        EXECUTE format('CREATE POLICY lookup ON %s FOR SELECT TO storekit_owner
            USING (%I = nullif(current_setting(''storekit.lookup'', true), ''''))', p_table, v_lookup);
    END IF;
    IF p_scope = 'global' THEN
        EXECUTE format('CREATE POLICY everybody ON %s FOR SELECT USING (true)', p_table);
    END IF;
    IF p_scope <> 'tenant' THEN
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT storekit_scope CHECK (tenant_id = %s)', p_table,
            CASE p_scope WHEN 'self' THEN 'id' ELSE quote_literal(storekit.nil()) || '::uuid' END);
    END IF;

    EXECUTE format('GRANT USAGE ON SCHEMA %I TO storekit_app, storekit_reports', p_schema);
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, storekit_app, storekit_reports', p_table);
    EXECUTE format('GRANT SELECT ON %s TO storekit_app, storekit_reports', p_table);
    IF p_scope = 'global' THEN
        RETURN;
    END IF;
    IF v_columns IS NOT NULL THEN
        EXECUTE format('GRANT INSERT (%s) ON %s TO storekit_app', v_columns, p_table);
    END IF;
    IF p_mutable THEN
        EXECUTE format('GRANT DELETE ON %s TO storekit_app', p_table);
        IF v_columns IS NOT NULL THEN
            EXECUTE format('GRANT UPDATE (%s) ON %s TO storekit_app', v_columns, p_table);
        END IF;
    END IF;
END
$$;

-- Make each ref a foreign key to a live part: a row can then refer only to a committed part, and a part to which a row
-- refers cannot be purged. The purge needs the index: it would otherwise scan the table for each part.
CREATE FUNCTION storekit.key_refs(p_table regclass, p_fields text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp SET row_security = on AS $$
DECLARE
    v_field text;
    v_name  text;
    v_used  boolean;
BEGIN
    FOREACH v_field IN ARRAY p_fields LOOP
        v_name := v_field || '_ref_live';
        CONTINUE WHEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = p_table AND conname = v_name);
        -- Postgres checks a new key as the owner, from whom forced row-level security hides the rows: the key would be
        -- marked as valid although rows violate it. So FORCE is lifted while the key is added.
        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', p_table);
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NOT NULL)', p_table, v_field || '_ref') INTO v_used;
        IF v_used THEN
            ALTER TABLE storekit.part NO FORCE ROW LEVEL SECURITY;
        END IF;
        EXECUTE format(
            'ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (tenant_id, %I, parts_live)
             REFERENCES storekit.part (tenant_id, part_id, live)', p_table, v_name, v_field || '_ref');
        EXECUTE format('CREATE INDEX ON %s (%I, tenant_id)', p_table, v_field || '_ref');
        IF v_used THEN
            ALTER TABLE storekit.part FORCE ROW LEVEL SECURITY;
        END IF;
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_table);
    END LOOP;
END
$$;

-- Add a foreign key to a table with rows, and check the rows. Postgres checks as the owner, from whom forced row-level
-- security hides the rows, so FORCE is lifted from both tables for the check. The key is first added as NOT VALID,
-- because only then the catalog contains its two tables.
CREATE FUNCTION storekit.add_key(p_table regclass, p_definition text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
DECLARE
    v_before oid[] := ARRAY(SELECT oid FROM pg_constraint WHERE conrelid = p_table);
    v_key    record;
    v_table  regclass;
BEGIN
    EXECUTE format('ALTER TABLE %s ADD %s NOT VALID', p_table, p_definition);
    FOR v_key IN
        SELECT c.conname, ARRAY(
            SELECT r.oid::regclass FROM pg_class AS r
            WHERE r.oid IN (c.conrelid, c.confrelid) AND r.relforcerowsecurity) AS forced
        FROM pg_constraint AS c WHERE c.conrelid = p_table AND c.oid <> ALL (v_before) AND NOT c.convalidated
    LOOP
        FOREACH v_table IN ARRAY v_key.forced LOOP
            EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', v_table);
        END LOOP;
        EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p_table, v_key.conname);
        FOREACH v_table IN ARRAY v_key.forced LOOP
            EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', v_table);
        END LOOP;
    END LOOP;
END
$$;

-- Refuse the values that Postgres can store and no class can hold, such as infinity. They are written by hand only: the
-- SDK checks each value. A table that is adopted may have such rows, which are not checked until they are changed.
CREATE FUNCTION storekit.guard_values(p_table regclass, p_columns text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_actions text;
BEGIN
    -- They are made anew: a column may have another name or type by now.
    SELECT string_agg(format('DROP CONSTRAINT %I', k.conname), ', ') INTO v_actions
    FROM pg_constraint AS k WHERE k.conrelid = p_table AND k.contype = 'c' AND k.conname LIKE '%\_storable';
    SELECT concat_ws(', ', v_actions, string_agg(format('ADD CONSTRAINT %I CHECK (%s)%s',
        left(a.attname, 54) || '_storable', replace(c.condition, '?', quote_ident(a.attname)),
        CASE WHEN pg_relation_size(p_table) > 0 THEN ' NOT VALID' END), ', ' ORDER BY a.attnum))
    INTO v_actions
    FROM pg_attribute AS a
    JOIN (VALUES
        -- the years 1 to 9999 of Python, independent of the time zone of the session
        ('timestamp with time zone', '? >= to_timestamp(-62135596800) AND ? < to_timestamp(253402300800)'),
        ('date', $c$? >= '0001-01-01'::date AND ? <= '9999-12-31'::date$c$),
        -- NaN is greater than Infinity
        ('numeric', $c$? > '-Infinity'::numeric AND ? < 'Infinity'::numeric$c$),
        ('double precision', $c$? > '-Infinity'::float8 AND ? < 'Infinity'::float8$c$),
        ('text[]', 'coalesce(array_ndims(?), 1) = 1 AND array_position(?, NULL) IS NULL'),
        ('bigint[]', 'coalesce(array_ndims(?), 1) = 1 AND array_position(?, NULL) IS NULL'),
        ('double precision[]', $c$coalesce(array_ndims(?), 1) = 1 AND array_position(?, NULL) IS NULL
            AND NOT ? && '{NaN,Infinity,-Infinity}'::float8[]$c$)) AS c(type, condition)
        ON c.type = format_type(a.atttypid, NULL)
    WHERE a.attrelid = p_table AND a.attname = ANY (p_columns);
    IF v_actions <> '' THEN
        EXECUTE format('ALTER TABLE %s %s', p_table, v_actions);
    END IF;
END
$$;

-- Triggers ----------------------------------------------------------------------------------------------

-- One trigger each for INSERT, UPDATE and DELETE: a trigger with transition tables cannot have several events.
CREATE FUNCTION storekit.add_triggers(
    p_table regclass, p_entity text, p_fields text[], p_mutable boolean, p_state text
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_arguments text := (
        SELECT string_agg(quote_literal(a), ', ') FROM unnest(ARRAY[p_entity, coalesce(p_state, '')] || p_fields) AS a);
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER storekit_touch BEFORE UPDATE ON %s
         FOR EACH ROW EXECUTE FUNCTION storekit.touch(%L, %L)', p_table, p_mutable, EXISTS (
             SELECT FROM pg_attribute WHERE attrelid = p_table AND attname = 'parts_live' AND NOT attisdropped));
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER storekit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
         FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert(%s)', p_table, v_arguments);
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER storekit_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
         FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update(%s)', p_table, v_arguments);
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER storekit_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
         FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete(%s)', p_table, v_arguments);
END
$$;

-- Protect the rows of an append-only table. `pg_trigger_depth() = 0`: a hand-written DELETE raises an error, a DELETE
-- by ON DELETE CASCADE does not.
CREATE FUNCTION storekit.guard_append_only(p_table regclass, p_entity text, p_fields text[], p_mutable boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_arguments text := (SELECT string_agg(quote_literal(a), ', ') FROM unnest(p_entity || p_fields) AS a);
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS storekit_append_only ON %1$s; DROP TRIGGER IF EXISTS storekit_keep ON %1$s', p_table);
    IF p_mutable THEN
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE TRIGGER storekit_append_only AFTER UPDATE ON %s FOR EACH ROW
         EXECUTE FUNCTION storekit.refuse_change(%s)', p_table, v_arguments);
    EXECUTE format(
        'CREATE TRIGGER storekit_keep BEFORE DELETE ON %s FOR EACH ROW WHEN (pg_trigger_depth() = 0)
         EXECUTE FUNCTION storekit.refuse_change(%s)', p_table, v_arguments);
END
$$;

-- Protect the state of a table with a state machine. The conditions are in WHEN, so that an update that does not
-- change the state calls no function.
CREATE FUNCTION storekit.guard_state(p_table regclass, p_entity text, p_state text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_first text[] := ARRAY(
        SELECT m.to_state FROM storekit.move AS m WHERE m.entity = p_entity AND m.from_state = '' ORDER BY 1);
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS storekit_move ON %1$s; DROP TRIGGER IF EXISTS storekit_begin ON %1$s', p_table);
    IF p_state IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE TRIGGER storekit_move BEFORE UPDATE ON %1$s FOR EACH ROW WHEN (OLD.%2$I IS DISTINCT FROM NEW.%2$I)
         EXECUTE FUNCTION storekit.check_move(%3$L, %2$L)', p_table, p_state, p_entity);
    IF v_first <> '{}' THEN
        EXECUTE format(
            'CREATE TRIGGER storekit_begin BEFORE INSERT ON %1$s FOR EACH ROW WHEN (NEW.%2$I::text <> ALL (%4$L))
             EXECUTE FUNCTION storekit.check_move(%3$L, %2$L)', p_table, p_state, p_entity, v_first);
    END IF;
END
$$;

-- Refuse changes without a reason, or let them pass. The condition is in WHEN, so that a change that has a reason calls no
-- function.
CREATE FUNCTION storekit.guard_reason(p_table regclass, p_entity text, p_required boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS storekit_reason ON %s', p_table);
    IF p_required THEN
        EXECUTE format(
            $trigger$CREATE TRIGGER storekit_reason BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW
            WHEN (nullif(current_setting('storekit.reason', true), '') IS NULL)
            EXECUTE FUNCTION storekit.refuse_without_reason(%L)$trigger$, p_table, p_entity);
    END IF;
END
$$;

-- The call itself ---------------------------------------------------------------------------------------

-- `p_reason_required`: whether each change needs a reason. NULL keeps what was registered, at first false.
-- `quote_all_identifiers`: the definitions of columns and keys are compared as text.
CREATE FUNCTION storekit.manage(p_table regclass, p_scope text, p_reason_required boolean DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off
SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET extra_float_digits = 1 AS $$
DECLARE
    v_reason  boolean;
    v_entity  text;
    v_schema  text;
    v_name    text;
    v_owner   name;
    v_columns text[];
    v_fields  text[];
    v_state   text;
    v_mutable boolean;
    v_soft    boolean;
BEGIN
    SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner) INTO v_schema, v_name, v_owner
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_table;
    v_entity := storekit.entity_name(v_schema || '.' || v_name);
    -- 57 characters: the generated function is called write_<table>, and Postgres cuts names at 63 bytes.
    IF v_entity !~ '^([a-z][a-z0-9_]*\.)?[a-z][a-z0-9_]*$' OR length(v_entity) > 57 OR v_owner <> 'storekit_owner' THEN
        RAISE EXCEPTION 'table % must have a name of a-z, 0-9 and _, at most 57 characters with its schema, '
            'and belong to storekit_owner', p_table USING ERRCODE = 'SK400';
    END IF;
    PERFORM storekit.check_columns(p_table, v_entity), storekit.check_keys(p_table);
    v_columns := storekit.plain_columns(p_table, v_entity);
    v_state := storekit.state_field(v_entity);
    v_fields := ARRAY(
        SELECT f.field FROM storekit.field AS f
        WHERE f.table_name = v_entity AND f.kind <> 'column' ORDER BY f.field);
    SELECT coalesce(bool_or(a.attname = 'updated_on'), false), coalesce(bool_or(a.attname = 'deleted_on'), false)
    INTO v_mutable, v_soft
    FROM pg_attribute AS a WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped;

    INSERT INTO storekit.managed AS m (entity, schema_name, table_name, mutable, soft_delete, scope, reason_required)
    VALUES (v_entity, v_schema, v_name, v_mutable, v_soft, p_scope, coalesce(p_reason_required, false))
    ON CONFLICT (entity) DO UPDATE
    SET mutable = excluded.mutable, soft_delete = excluded.soft_delete, scope = excluded.scope,
        reason_required = coalesce(p_reason_required, m.reason_required)
    RETURNING m.reason_required INTO v_reason;
    INSERT INTO storekit.event_type (type, entity)
    SELECT concat(v_entity, '.', verb), v_entity
    FROM unnest(ARRAY['created'] || CASE WHEN v_mutable THEN '{updated}'::text[] END
        || CASE WHEN v_state IS NOT NULL THEN '{transitioned}'::text[] END
        || CASE WHEN v_mutable OR v_soft THEN '{deleted}'::text[] END
        || CASE WHEN v_soft THEN '{restored}'::text[] END) AS verb
    ON CONFLICT DO NOTHING;

    PERFORM storekit.key_refs(p_table, v_fields),
            storekit.guard_values(p_table, v_columns),
            storekit.protect(p_table, v_schema, v_columns, v_mutable, p_scope),
            storekit.add_triggers(p_table, v_entity, v_fields, v_mutable, v_state),
            storekit.guard_append_only(p_table, v_entity, v_fields, v_mutable),
            storekit.guard_state(p_table, v_entity, v_state),
            storekit.guard_reason(p_table, v_entity, v_reason),
            storekit.compose_writer(p_table, v_entity, v_columns, v_fields, v_mutable, v_soft);
END
$$;

-- Manage a table again with the scope that it has.
CREATE FUNCTION storekit.manage(p_table regclass) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, storekit, pg_temp AS $$
    SELECT storekit.manage(p_table, coalesce((
        SELECT m.scope
        FROM storekit.managed AS m
        JOIN pg_namespace AS n ON n.nspname = m.schema_name
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = m.table_name
        WHERE c.oid = p_table), 'tenant'));
$$;
