-- storekit.manage(), complete: append-only tables, state machines, scopes, the queue of the purge, reports.

-- Who writes where --------------------------------------------------------------------------------------

-- The nil tenant's rows are everybody's to read and the admin's to write: whose login may become the owner.
CREATE OR REPLACE FUNCTION storekit.enter(p_tenant uuid, p_actor text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    IF p_tenant IS NULL OR coalesce(p_actor, '') = '' THEN
        RAISE EXCEPTION 'no tenant or no actor was named' USING ERRCODE = 'SK400';
    ELSIF storekit.current_tenant() <> p_tenant THEN
        RAISE EXCEPTION 'this transaction belongs to another tenant' USING ERRCODE = 'SK004';
    ELSIF p_tenant = storekit.nil() AND NOT pg_has_role(session_user, 'storekit_owner', 'MEMBER') THEN
        RAISE EXCEPTION 'global records are written by the admin alone' USING ERRCODE = 'SK403';
    END IF;
    PERFORM set_config('storekit.tenant', p_tenant::text, true), set_config('storekit.actor', p_actor, true);
END
$$;

-- Find a table to write to, in a transaction of the right tenant.
CREATE FUNCTION storekit.find_writable(p_name text) RETURNS storekit.managed
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_table storekit.managed := storekit.find_managed(p_name);
BEGIN
    IF (v_table.scope = 'global') <> (storekit.current_tenant() = storekit.nil()) THEN
        RAISE EXCEPTION 'table % is of scope %, the tenant of this transaction is %',
            v_table.entity, v_table.scope, storekit.current_tenant() USING ERRCODE = 'SK403';
    END IF;
    RETURN v_table;
END
$$;

-- As before, but for the scope.
CREATE OR REPLACE FUNCTION storekit.write_rows(p_op jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_table   storekit.managed := storekit.find_writable(p_op ->> 'entity');
    v_op      text   := p_op ->> 'op';
    v_rows    jsonb  := p_op -> 'rows';
    v_columns text[] := ARRAY(SELECT jsonb_array_elements_text(p_op -> 'columns'));
    v_refs    text[] := ARRAY(SELECT jsonb_array_elements_text(p_op -> 'refs'));
    v_keys    text[] := v_columns || ARRAY(SELECT r || '_ref' FROM unnest(v_refs) AS r)
                        || CASE WHEN v_op = 'insert' THEN '{ref_id,id}' ELSE '{ref_id}' END::text[];
    v_ids     text[];
    v_done    jsonb;
    v_refused jsonb;
BEGIN
    IF coalesce(v_op, '') NOT IN ('insert', 'update', 'delete', 'restore')
       OR v_op = 'update' AND NOT v_table.mutable
       OR v_op = 'delete' AND NOT (v_table.mutable OR v_table.soft_delete)
       OR v_op = 'restore' AND NOT v_table.soft_delete
       OR v_op IN ('delete', 'restore') AND cardinality(v_columns || v_refs) > 0 THEN
        RAISE EXCEPTION 'table % takes no %', v_table.entity, v_op USING ERRCODE = 'SK400';
    END IF;
    IF EXISTS (
        SELECT FROM jsonb_array_elements(v_rows) AS r
        WHERE NOT r ?& v_keys OR r - v_keys - 'expected_version'::text <> '{}'
           OR v_op = 'insert' AND r ->> 'expected_version' IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'a row for % has other keys than %', v_table.entity, v_keys USING ERRCODE = 'SK400';
    END IF;
    SELECT array_agg(DISTINCT r ->> 'ref_id') INTO v_ids FROM jsonb_array_elements(v_rows) AS r;
    IF cardinality(v_ids) <> jsonb_array_length(v_rows) THEN
        RAISE EXCEPTION 'a row of % comes twice in one batch', v_table.entity USING ERRCODE = 'SK400';
    END IF;

    EXECUTE format('SELECT storekit.%I($1, $2, $3, $4, $5)', 'write_' || v_table.entity)
    INTO v_done USING v_op, v_columns, v_refs, v_rows, v_ids;

    IF NOT v_done ?& v_ids THEN
        v_refused := storekit.first_refused(v_table.entity, v_op, v_rows, ARRAY(SELECT jsonb_object_keys(v_done)));
        IF v_refused ->> 'found' IS NULL THEN
            RAISE EXCEPTION '% % was not found', v_table.entity, v_refused ->> 'ref_id'
                USING ERRCODE = 'SK404', DETAIL = v_refused - '{expected,found}'::text[];
        END IF;
        RAISE EXCEPTION '% % has version %, not %', v_table.entity, v_refused ->> 'ref_id',
            v_refused ->> 'found', v_refused ->> 'expected' USING ERRCODE = 'SK409', DETAIL = v_refused;
    END IF;
    -- In the order of the request, not of the locks: a replay tells by it which row is which.
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_array(v_table.entity, r.item -> 'ref_id', v_done -> (r.item ->> 'ref_id'))
                   ORDER BY r.n), '[]')
        FROM jsonb_array_elements(v_rows) WITH ORDINALITY AS r(item, n));
END
$$;

-- Triggers --------------------------------------------------------------------------------------------------

-- Arguments: entity, its part fields. An append-only row stays as it was, but for a ref that goes (its part expired
-- or was erased) and a soft delete; it goes only with a parent whose key says CASCADE.
-- No WHEN names the columns: a migration could not alter or drop one that a trigger stands on.
CREATE FUNCTION storekit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
    v_free text[] := '{version,deleted_on,deleted_by}';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        v_free := v_free || ARRAY(
            SELECT field || '_expired_on' FROM unnest(TG_ARGV[1:]) AS field
            UNION ALL
            SELECT field || '_ref' FROM unnest(TG_ARGV[1:]) AS field WHERE to_jsonb(NEW) -> (field || '_ref') = 'null');
        -- as text: 1.0 and 1.00 are equal numbers and different values
        IF (to_jsonb(OLD) - v_free)::text = (to_jsonb(NEW) - v_free)::text THEN
            RETURN NULL;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % may not be %', TG_ARGV[0], OLD.ref_id, lower(TG_OP) || 'd'
        USING ERRCODE = 'SK405', HINT = 'derive the class from Mutable, or save another record';
END
$$;

-- Arguments: entity and its state field. Called only when the state changes, or begins where it may not.
CREATE FUNCTION storekit.check_move() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, storekit, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    v_from text := '';
    v_to   text := to_jsonb(NEW) ->> TG_ARGV[1];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        v_from := to_jsonb(OLD) ->> TG_ARGV[1];
    END IF;
    IF NOT EXISTS (
        SELECT FROM storekit.move AS m WHERE m.entity = TG_ARGV[0] AND m.from_state = v_from AND m.to_state = v_to
    ) THEN
        PERFORM storekit.refuse_state(TG_ARGV[0], NEW.ref_id, v_from, v_to);
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION storekit.refuse_state(p_entity text, p_ref_id text, p_from text, p_to text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_allowed text[] := ARRAY(
        SELECT m.to_state FROM storekit.move AS m WHERE m.entity = p_entity AND m.from_state = p_from ORDER BY 1);
BEGIN
    RAISE EXCEPTION '% %: it may not %, only %', p_entity, p_ref_id,
        CASE p_from WHEN '' THEN 'begin as ' || p_to ELSE 'go from ' || p_from || ' to ' || p_to END,
        coalesce(nullif(array_to_string(v_allowed, ', '), ''), 'stay as it is')
        USING ERRCODE = 'SK410', DETAIL = jsonb_build_object(
            'entity', p_entity, 'ref_id', p_ref_id, 'from', p_from, 'to', p_to, 'allowed', v_allowed);
END
$$;

-- Arguments of the next two: the entity's name, its state field or '', then its part fields.
-- Old and new rows meet by UNION ALL and GROUP BY: a join here would keep the plan of the first, small
-- statement for ever and make every later batch quadratic.
CREATE OR REPLACE FUNCTION storekit.record_update() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET row_security = on AS $$
#variable_conflict use_variable
DECLARE
    v_dropped uuid[];
BEGIN
    WITH image AS (
        SELECT _old.tenant_id, _old.ref_id, 0 AS version, to_jsonb(_old) AS before, NULL::jsonb AS after FROM old_rows AS _old
        UNION ALL
        SELECT _new.tenant_id, _new.ref_id, _new.version, NULL, to_jsonb(_new) FROM new_rows AS _new
    ), pair AS (
        SELECT i.tenant_id, i.ref_id, max(i.version) AS version,
               (array_agg(i.before) FILTER (WHERE i.before IS NOT NULL))[1] AS before,
               (array_agg(i.after) FILTER (WHERE i.after IS NOT NULL))[1] AS after
        FROM image AS i
        GROUP BY i.tenant_id, i.ref_id
    ), change AS MATERIALIZED (
        SELECT p.tenant_id, p.ref_id, p.version, coalesce(d.before, '{}') AS before, coalesce(d.after, '{}') AS after
        FROM pair AS p CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(a.key, p.before -> a.key) AS before, jsonb_object_agg(a.key, a.value) AS after
            FROM jsonb_each(p.after) AS a
            WHERE p.before -> a.key <> a.value AND a.key NOT IN ('version', 'updated_on', 'updated_by')
        ) AS d
    ), recorded AS (
        INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, before, after)
        SELECT c.tenant_id, TG_ARGV[0], c.ref_id, c.version,
               TG_ARGV[0] || CASE WHEN c.before -> 'deleted_on' = 'null' THEN '.deleted'
                                  WHEN c.after -> 'deleted_on' = 'null' THEN '.restored'
                                  WHEN c.after ? TG_ARGV[1] THEN '.transitioned'
                                  ELSE '.updated' END,
               c.before, c.after
        FROM change AS c
        ORDER BY c.ref_id
    )
    SELECT array_agg((c.before ->> (field || '_ref'))::uuid) INTO v_dropped
    FROM change AS c, unnest(TG_ARGV[2:]) AS field
    WHERE c.before ->> (field || '_ref') IS NOT NULL;
    PERFORM storekit.supersede(v_dropped);
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION storekit.record_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET row_security = on AS $$
#variable_conflict use_variable
DECLARE
    v_dropped uuid[];
BEGIN
    WITH gone AS MATERIALIZED (
        SELECT _old.tenant_id, _old.ref_id, _old.version, to_jsonb(_old) - 'parts_live' AS before FROM old_rows AS _old
    ), recorded AS (
        -- One past the last version, so that an entity's events always climb.
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
$$;

-- Queue parts that no row points at any more. The purge itself asks again for fences, holds and retention.
CREATE OR REPLACE FUNCTION storekit.supersede(p_parts uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_marked bigint;
BEGIN
    IF p_parts IS NULL THEN
        RETURN;
    END IF;
    UPDATE storekit.part AS p SET
        superseded_on = coalesce(p.superseded_on, storekit.now()),
        purge_after = coalesce(p.purge_after, storekit.now() + storekit.purge_delay())
    WHERE p.tenant_id = storekit.current_tenant() AND p.part_id = ANY (p_parts);
    GET DIAGNOSTICS v_marked = ROW_COUNT;
    IF v_marked <> cardinality(p_parts) THEN
        RAISE EXCEPTION 'rows with parts are changed for one tenant at a time' USING ERRCODE = 'SK004',
            HINT = 'set storekit.tenant in this transaction';
    END IF;
END
$$;

-- Protection --------------------------------------------------------------------------------------------------

-- squawk-ignore ban-drop-function
DROP FUNCTION storekit.protect(regclass, text, text[], boolean);

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
    -- As in the ledger: without statistics no tenant is ever taken for empty.
    EXECUTE format('ALTER TABLE %s ALTER COLUMN tenant_id SET STATISTICS 0', p_table);
    EXECUTE format('DROP POLICY IF EXISTS tenant ON %1$s; DROP POLICY IF EXISTS everybody ON %1$s;
        DROP POLICY IF EXISTS report ON %1$s; DROP POLICY IF EXISTS lookup ON %1$s;
        ALTER TABLE %1$s DROP CONSTRAINT IF EXISTS storekit_scope', p_table);
    EXECUTE format('CREATE POLICY tenant ON %s USING (tenant_id = storekit.current_tenant())', p_table);
    EXECUTE format('CREATE POLICY report ON %s FOR SELECT TO storekit_reports USING (true)', p_table);
    IF v_lookup IS NOT NULL THEN
        -- Inside storekit.lookup_v1 alone: nobody else acts as the owner and names a value.
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

-- squawk-ignore ban-drop-function
DROP FUNCTION storekit.add_triggers(regclass, text, text[], boolean);

CREATE FUNCTION storekit.add_triggers(p_table regclass, p_entity text, p_fields text[], p_mutable boolean, p_state text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_arguments text := (SELECT string_agg(quote_literal(a), ', ') FROM unnest(ARRAY[p_entity, coalesce(p_state, '')] || p_fields) AS a);
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER storekit_touch BEFORE UPDATE ON %s
         FOR EACH ROW EXECUTE FUNCTION storekit.touch(%L)', p_table, p_mutable);
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

-- The rules stand in the WHEN where they can: an update that leaves the state alone calls nothing.
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

-- The column that a table's machine moves, or null. A table has one machine at most.
CREATE FUNCTION storekit.state_field(p_entity text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_fields text[] := ARRAY(SELECT DISTINCT m.field FROM storekit.move AS m WHERE m.entity = p_entity ORDER BY 1);
BEGIN
    IF cardinality(v_fields) > 1 THEN
        RAISE EXCEPTION 'table % has the state fields %; one is all that a table takes', p_entity, v_fields
            USING ERRCODE = 'SK400';
    END IF;
    RETURN v_fields[1];
END
$$;

-- As before, but that it names what is missing alone.
CREATE OR REPLACE FUNCTION storekit.compose_writer(
    p_table regclass, p_entity text, p_columns text[], p_fields text[], p_mutable boolean, p_soft_delete boolean
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_alive  text := CASE WHEN p_soft_delete THEN 't.deleted_on IS NULL' END;
    v_types  text;  -- the recordset: ', name text, payload_ref uuid'
    v_names  text;  -- what an insert fills
    v_values text;
    v_sets   text;  -- what an update may set
    v_body   text;
BEGIN
    SELECT coalesce(string_agg(format(', %I %s', c.name, c.type), ''), ''),
           coalesce(string_agg(format(', %I', c.name), ''), ''),
           coalesce(string_agg(CASE WHEN c.preset IS NULL THEN format(', r.%I', c.name)
                ELSE format(', CASE WHEN %L = ANY (p_columns) THEN r.%I ELSE %s END', c.name, c.name, c.preset) END, ''), ''),
           string_agg(format('CASE WHEN %L = ANY (%s) THEN r.%I ELSE t.%I END', c.sent, c.list, c.name, c.name), ', ')
    INTO v_types, v_names, v_values, v_sets
    FROM (
        SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attname::text AS sent,
               '$1' AS list, pg_get_expr(d.adbin, d.adrelid) AS preset
        FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = p_table AND a.attname = ANY (p_columns)
        UNION ALL
        SELECT field || '_ref', 'uuid', field, '$2', NULL FROM unnest(p_fields) AS field
    ) AS c;
    v_sets := CASE WHEN v_names <> '' THEN format('(%s) = (SELECT %s FROM jsonb_to_record($3 -> t.ref_id) AS r(%s))',
        substr(v_names, 3), v_sets, substr(v_types, 3)) ELSE 'version = t.version' END;
    -- A fresh document has not expired.
    v_sets := concat_ws(', ', v_sets, (
        SELECT string_agg(format('%I = CASE WHEN %L <> ALL ($2) THEN t.%1$I END', f.field || '_expired_on', f.field), ', ')
        FROM storekit.field AS f WHERE f.table_name = p_entity AND f.ttl IS NOT NULL));

    v_body := format($insert$
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO %s AS t (tenant_id, id, ref_id%s)
            SELECT storekit.current_tenant(), r.id, r.ref_id%s
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text%s)
            ORDER BY r.ref_id COLLATE "C"
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;$insert$,
        p_table, v_names, v_values, v_types);
    IF p_mutable THEN
        v_body := v_body || storekit.compose_change('update', p_table, v_sets, v_alive);
    END IF;
    IF p_soft_delete THEN
        v_body := v_body
            || storekit.compose_change('delete', p_table,
                'deleted_on = storekit.now(), deleted_by = storekit.current_actor()', v_alive)
            || storekit.compose_change('restore', p_table,
                'deleted_on = NULL, deleted_by = NULL', 't.deleted_on IS NOT NULL');
    ELSIF p_mutable THEN
        v_body := v_body || storekit.compose_change('delete', p_table, NULL, NULL);
    END IF;

    v_body := format($body$
#variable_conflict use_variable
DECLARE
    v_rows jsonb;
    v_done jsonb;
BEGIN
    IF NOT (p_columns <@ %1$L::text[] AND p_refs <@ %2$L::text[]) THEN
        RAISE EXCEPTION 'table %% has no column or part %%', %3$L, (
            SELECT string_agg(name, ', ') FROM (
                SELECT name FROM unnest(p_columns) AS name WHERE name <> ALL (%1$L::text[])
                UNION ALL
                SELECT name FROM unnest(p_refs) AS name WHERE name <> ALL (%2$L::text[])) AS missing)
            USING ERRCODE = 'SK400', HINT = 'add it in a migration';
    END IF;
    IF p_op <> 'insert' THEN
        SELECT jsonb_object_agg(r ->> 'ref_id', r) INTO v_rows FROM jsonb_array_elements(p_rows) AS r;
    END IF;
    CASE p_op
    WHEN 'lock' THEN
        EXECUTE 'SELECT FROM %4$s AS t WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($1)
            ORDER BY t.ref_id FOR NO KEY UPDATE' USING p_ref_ids;%5$s
    END CASE;
    RETURN coalesce(v_done, '{}');
END
$body$, p_columns, p_fields, p_entity, p_table, v_body);
    -- As a literal: a column's default may hold any text, so no dollar quote is safe around it.
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION storekit.%I(p_op text, p_columns text[], p_refs text[], p_rows jsonb, p_ref_ids text[])
         RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS %L',
        'write_' || p_entity, v_body);
END
$$;

-- The call itself -------------------------------------------------------------------------------------------

CREATE FUNCTION storekit.manage(p_table regclass, p_scope text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
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

    INSERT INTO storekit.managed (entity, schema_name, table_name, mutable, soft_delete, scope)
    VALUES (v_entity, v_schema, v_name, v_mutable, v_soft, p_scope)
    ON CONFLICT (entity) DO UPDATE
    SET mutable = excluded.mutable, soft_delete = excluded.soft_delete, scope = excluded.scope;
    INSERT INTO storekit.event_type (type, entity)
    SELECT concat(v_entity, '.', verb), v_entity
    FROM unnest(ARRAY['created'] || CASE WHEN v_mutable THEN '{updated}'::text[] END
        || CASE WHEN v_state IS NOT NULL THEN '{transitioned}'::text[] END
        || CASE WHEN v_mutable OR v_soft THEN '{deleted}'::text[] END
        || CASE WHEN v_soft THEN '{restored}'::text[] END) AS verb
    ON CONFLICT DO NOTHING;

    PERFORM storekit.key_refs(p_table, v_fields),
            storekit.protect(p_table, v_schema, v_columns, v_mutable, p_scope),
            storekit.add_triggers(p_table, v_entity, v_fields, v_mutable, v_state),
            storekit.guard_append_only(p_table, v_entity, v_fields, v_mutable),
            storekit.guard_state(p_table, v_entity, v_state),
            storekit.compose_writer(p_table, v_entity, v_columns, v_fields, v_mutable, v_soft);
END
$$;

-- Leave a table's scope as it is.
CREATE OR REPLACE FUNCTION storekit.manage(p_table regclass) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, storekit, pg_temp AS $$
    SELECT storekit.manage(p_table, coalesce((
        SELECT m.scope
        FROM storekit.managed AS m
        JOIN pg_namespace AS n ON n.nspname = m.schema_name
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = m.table_name
        WHERE c.oid = p_table), 'tenant'));
$$;

-- The tables that are managed already: their triggers take other arguments now.
SELECT storekit.manage(format('%I.%I', schema_name, table_name)::regclass) FROM storekit.managed ORDER BY entity;
