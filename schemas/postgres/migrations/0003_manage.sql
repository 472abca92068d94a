-- storekit.manage('table'): one call in the migration that makes or alters an entity's table puts it under
-- the rules. It can be run again and works on tables with data.

-- Triggers: shared by all tables, compiled per table --------------------------------------------------------

-- Arguments: whether the table has updated_on and updated_by.
CREATE FUNCTION storekit.touch() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    IF (NEW.tenant_id, NEW.id, NEW.ref_id) IS DISTINCT FROM (OLD.tenant_id, OLD.id, OLD.ref_id) THEN
        RAISE EXCEPTION '% %: tenant_id, id and ref_id never change', TG_TABLE_NAME, OLD.ref_id USING ERRCODE = 'SK001';
    END IF;
    NEW.version := OLD.version + 1;
    IF TG_ARGV[0]::boolean THEN
        NEW.updated_on := storekit.now();
        NEW.updated_by := storekit.current_actor();
    END IF;
    RETURN NEW;
END
$$;

-- Arguments of the three: the entity's name, then its part fields. A table's columns may be called as PL/pgSQL's
-- variables are (tg_argv): the bare name means the variable.
CREATE FUNCTION storekit.record_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET row_security = on AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, after)
    SELECT _new.tenant_id, TG_ARGV[0], _new.ref_id, _new.version, TG_ARGV[0] || '.created', to_jsonb(_new) - 'parts_live'
    FROM new_rows AS _new  -- no field can be called so; an alias that is also a column's name means the column
    ORDER BY _new.ref_id;
    RETURN NULL;
END
$$;

-- Old and new rows meet by UNION ALL and GROUP BY: a join here would keep the plan of the first, small
-- statement for ever and make every later batch quadratic.
CREATE FUNCTION storekit.record_update() RETURNS trigger
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
                                  ELSE '.updated' END,
               c.before, c.after
        FROM change AS c
        ORDER BY c.ref_id
    )
    SELECT array_agg((c.before ->> (field || '_ref'))::uuid) INTO v_dropped
    FROM change AS c, unnest(TG_ARGV[1:]) AS field
    WHERE c.before ->> (field || '_ref') IS NOT NULL;
    PERFORM storekit.supersede(v_dropped);
    RETURN NULL;
END
$$;

CREATE FUNCTION storekit.record_delete() RETURNS trigger
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
    FROM gone AS g, unnest(TG_ARGV[1:]) AS field
    WHERE g.before ->> (field || '_ref') IS NOT NULL;
    PERFORM storekit.supersede(v_dropped);
    RETURN NULL;
END
$$;

-- Mark parts that no row points at any more; when they may be purged is the purge's to say.
CREATE FUNCTION storekit.supersede(p_parts uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_marked bigint;
BEGIN
    IF p_parts IS NULL THEN
        RETURN;
    END IF;
    UPDATE storekit.part AS p SET superseded_on = coalesce(p.superseded_on, storekit.now())
    WHERE p.tenant_id = storekit.current_tenant() AND p.part_id = ANY (p_parts);
    GET DIAGNOSTICS v_marked = ROW_COUNT;
    IF v_marked <> cardinality(p_parts) THEN
        RAISE EXCEPTION 'rows with parts are changed for one tenant at a time' USING ERRCODE = 'SK004',
            HINT = 'set storekit.tenant in this transaction';
    END IF;
END
$$;

-- Conventions ---------------------------------------------------------------------------------------------

CREATE FUNCTION storekit.check_columns(p_table regclass, p_entity text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_missing text;
BEGIN
    WITH has AS (
        SELECT attname::text AS name FROM pg_attribute WHERE attrelid = p_table AND attnum > 0 AND NOT attisdropped
    ), wanted (name, definition) AS (
        SELECT w.* FROM (VALUES
            ('tenant_id', 'uuid NOT NULL DEFAULT storekit.current_tenant()'),
            ('id', 'uuid NOT NULL DEFAULT storekit.new_id()'),
            ('ref_id', 'text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()'),
            ('version', 'bigint NOT NULL DEFAULT 1'),
            ('created_on', 'timestamp with time zone NOT NULL DEFAULT storekit.now()'),
            ('created_by', 'text NOT NULL DEFAULT storekit.current_actor()')) AS w
        UNION ALL
        SELECT w.* FROM (VALUES ('updated_on', 'timestamp with time zone'), ('updated_by', 'text')) AS w
        WHERE EXISTS (SELECT FROM has WHERE name IN ('updated_on', 'updated_by'))
        UNION ALL
        SELECT w.* FROM (VALUES ('deleted_on', 'timestamp with time zone'), ('deleted_by', 'text')) AS w
        WHERE EXISTS (SELECT FROM has WHERE name IN ('deleted_on', 'deleted_by'))
        UNION ALL
        SELECT f.field || '_ref', 'uuid' FROM storekit.field AS f WHERE f.table_name = p_entity AND f.kind <> 'column'
        UNION ALL
        SELECT f.field || '_expired_on', 'timestamp with time zone'
        FROM storekit.field AS f WHERE f.table_name = p_entity AND f.ttl IS NOT NULL
        UNION ALL
        SELECT 'parts_live', 'boolean NOT NULL GENERATED ALWAYS AS (true) STORED'
        WHERE EXISTS (SELECT FROM storekit.field AS f WHERE f.table_name = p_entity AND f.kind <> 'column')
    )
    SELECT string_agg(format('ADD COLUMN %I %s', w.name, w.definition), ', ') INTO v_missing
    FROM wanted AS w
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = p_table AND a.attname = w.name
          AND w.definition = concat(format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attcollation = 'pg_catalog."C"'::regcollation THEN ' COLLATE "C"' END,
              CASE WHEN a.attnotnull THEN ' NOT NULL' END,
              CASE a.attgenerated WHEN 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', pg_get_expr(d.adbin, a.attrelid))
                   ELSE ' DEFAULT ' || pg_get_expr(d.adbin, a.attrelid) END));
    IF v_missing IS NOT NULL THEN
        RAISE EXCEPTION 'table % lacks columns of storekit, or has them otherwise', p_entity USING ERRCODE = 'SK400',
            HINT = format('ALTER TABLE %s %s', p_table, v_missing);
    END IF;
END
$$;

CREATE FUNCTION storekit.check_keys(p_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_missing text;
BEGIN
    SELECT string_agg('ADD ' || wanted, ', ') INTO v_missing
    FROM unnest('{"PRIMARY KEY (tenant_id, id)","UNIQUE (tenant_id, ref_id)"}'::text[]) AS wanted
    WHERE wanted NOT IN (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = p_table);
    IF v_missing IS NOT NULL THEN
        RAISE EXCEPTION 'table % lacks keys of storekit', p_table USING ERRCODE = 'SK400',
            HINT = format('ALTER TABLE %s %s', p_table, v_missing);
    END IF;
END
$$;

-- The columns that belong to the entity's own fields; everything else is written by storekit alone.
CREATE FUNCTION storekit.plain_columns(p_table regclass, p_entity text) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, storekit, pg_temp AS $$
    SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}')
    FROM pg_attribute AS a
    WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attgenerated = '' AND a.attidentity = ''
      AND a.attname <> ALL ('{tenant_id,id,ref_id,version,created_on,created_by,updated_on,updated_by,deleted_on,deleted_by}')
      AND NOT EXISTS (
          SELECT FROM storekit.field AS f
          WHERE f.table_name = p_entity AND f.kind <> 'column'
            AND a.attname IN (f.field || '_ref', f.field || '_expired_on'));
$$;

-- Protection ----------------------------------------------------------------------------------------------

CREATE FUNCTION storekit.protect(p_table regclass, p_schema text, p_columns text[], p_mutable boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_columns text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(p_columns) AS c);
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p_table);
    -- As in the ledger: without statistics no tenant is ever taken for empty.
    EXECUTE format('ALTER TABLE %s ALTER COLUMN tenant_id SET STATISTICS 0', p_table);
    EXECUTE format('DROP POLICY IF EXISTS tenant ON %s', p_table);
    EXECUTE format('CREATE POLICY tenant ON %s USING (tenant_id = storekit.current_tenant())', p_table);

    EXECUTE format('GRANT USAGE ON SCHEMA %I TO storekit_app', p_schema);
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, storekit_app', p_table);
    EXECUTE format('GRANT SELECT ON %s TO storekit_app', p_table);
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

-- No dangling ref: each ref is a foreign key to a live part, with the index that a purge needs.
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
        -- A new key is checked as the owner, whom FORCE blinds: it would be called valid over bad rows.
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

CREATE FUNCTION storekit.add_triggers(p_table regclass, p_entity text, p_fields text[], p_mutable boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_arguments text := (SELECT string_agg(quote_literal(a), ', ') FROM unnest(p_entity || p_fields) AS a);
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

-- The write function of a table --------------------------------------------------------------------------------

-- One branch of the writer that changes rows which are there; without `p_sets` it deletes.
-- Its values ($3: rows by ref_id) are looked up, not joined, and it is planned at each call: a join, or a plan
-- kept from when the table was small, reads all rows of the tenant for each batch.
CREATE FUNCTION storekit.compose_change(p_op text, p_table regclass, p_sets text, p_condition text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format($branch$
    WHEN %L THEN
        EXECUTE $change$
            WITH done AS (
                %s
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($4)
                  AND t.version = coalesce(($3 -> t.ref_id ->> 'expected_version')::bigint, t.version)%s
                RETURNING t.ref_id, t.version%s)
            SELECT jsonb_object_agg(d.ref_id, d.version) FROM done AS d $change$
        INTO v_done USING p_columns, p_refs, v_rows, p_ref_ids;$branch$,
    p_op,
    CASE WHEN p_sets IS NULL THEN format('DELETE FROM %s AS t', p_table)
         ELSE format('UPDATE %s AS t SET %s', p_table, p_sets) END,
    coalesce(' AND ' || p_condition, ''), CASE WHEN p_sets IS NULL THEN ' + 1 AS version' ELSE '' END);

-- Compose `storekit.write_<entity>(op, columns, refs, rows, ref_ids)`: the table's columns and types stand in
-- its text. It answers {ref_id: version} and is commit's alone: nobody else may execute it.
CREATE FUNCTION storekit.compose_writer(
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
    IF NOT (p_columns <@ %L::text[] AND p_refs <@ %L::text[]) THEN
        RAISE EXCEPTION 'table %% has no such column or part: %%', %L, p_columns || p_refs USING ERRCODE = 'SK400';
    END IF;
    IF p_op <> 'insert' THEN
        SELECT jsonb_object_agg(r ->> 'ref_id', r) INTO v_rows FROM jsonb_array_elements(p_rows) AS r;
    END IF;
    CASE p_op
    WHEN 'lock' THEN
        EXECUTE 'SELECT FROM %s AS t WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = ANY ($1)
            ORDER BY t.ref_id FOR NO KEY UPDATE' USING p_ref_ids;%s
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

CREATE FUNCTION storekit.manage(p_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_entity  text;
    v_schema  text;
    v_name    text;
    v_owner   name;
    v_columns text[];
    v_fields  text[];
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
    v_fields := ARRAY(
        SELECT f.field FROM storekit.field AS f
        WHERE f.table_name = v_entity AND f.kind <> 'column' ORDER BY f.field);
    SELECT coalesce(bool_or(a.attname = 'updated_on'), false), coalesce(bool_or(a.attname = 'deleted_on'), false)
    INTO v_mutable, v_soft
    FROM pg_attribute AS a WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped;

    INSERT INTO storekit.managed (entity, schema_name, table_name, mutable, soft_delete, scope)
    VALUES (v_entity, v_schema, v_name, v_mutable, v_soft, 'tenant')
    ON CONFLICT (entity) DO UPDATE SET mutable = excluded.mutable, soft_delete = excluded.soft_delete;
    INSERT INTO storekit.event_type (type, entity)
    SELECT concat(v_entity, '.', verb), v_entity
    FROM unnest(ARRAY['created'] || CASE WHEN v_mutable THEN '{updated}'::text[] END
        || CASE WHEN v_mutable OR v_soft THEN '{deleted}'::text[] END
        || CASE WHEN v_soft THEN '{restored}'::text[] END) AS verb
    ON CONFLICT DO NOTHING;

    PERFORM storekit.key_refs(p_table, v_fields),
            storekit.protect(p_table, v_schema, v_columns, v_mutable),
            storekit.add_triggers(p_table, v_entity, v_fields, v_mutable),
            storekit.compose_writer(p_table, v_entity, v_columns, v_fields, v_mutable, v_soft);
END
$$;
