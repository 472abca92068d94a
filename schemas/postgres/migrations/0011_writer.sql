-- The writer of a table: storekit.write_<entity>(op, columns, refs, rows, ref_ids), which manage() composes from the
-- table's columns. It returns {ref_id: version} of the rows that it wrote and leaves out those that are missing or
-- have another version. Only the commit calls it: no role is granted EXECUTE.
--
-- It is generated so that the columns and types of the table are in its text and a call does not read the catalog. For
-- one row it takes 204 us; SQL that is composed in each call takes 306 us.
--
-- Parameters inside the writer, and in each branch that runs by EXECUTE:
--   p_columns $1  columns that the rows contain. Each row contains all of them: a list taken from the first row would lose
--                 what only a later row contains.
--   p_refs    $2  part fields whose `<field>_ref` the rows contain
--   v_rows    $3  the rows, {ref_id: row}
--   p_ref_ids $4  their ref_ids

-- The columns that a writer fills: the entity's own, then one `<field>_ref` for each part. `preset` is the column's
-- default. A column is sent if `sent` is in the list `list` of the call.
CREATE FUNCTION storekit.writer_columns(p_table regclass, p_columns text[], p_fields text[])
RETURNS TABLE (place bigint, name text, type text, preset text, sent text, list text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.attnum, a.attname::text, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid),
           a.attname::text, '$1'
    FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = p_table AND a.attname = ANY (p_columns)
    UNION ALL
    SELECT 2000 + f.n, f.field || '_ref', 'uuid', NULL, f.field, '$2'  -- a table has at most 1600 columns
    FROM unnest(p_fields) WITH ORDINALITY AS f(field, n);
$$;

-- Return the order in which an insert processes its rows: by the natural key if the table has one. If two writers
-- insert the same keys, the second one then waits at the first common key and holds no key that the first one still
-- needs. In any other order they could wait for each other, which is a deadlock.
CREATE FUNCTION storekit.insert_order(p_table regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(', ', string_agg(format('r.%I', a.attname), ', ' ORDER BY k.n), 'r.ref_id COLLATE "C"')
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
        AND c.relname = (SELECT t.relname || '_natural_key' FROM pg_class AS t WHERE t.oid = p_table)
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = p_table AND a.attname <> 'tenant_id';
$$;

-- Compose the branch that inserts. A column that is not sent gets its default, because in a recordset it would be
-- NULL. It is static SQL with a cached plan: it looks up no rows, so a plan for a small table stays good.
CREATE FUNCTION storekit.compose_insert(p_table regclass, p_columns text[], p_fields text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format($insert$
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO %s AS t (tenant_id, id, ref_id%s)
            SELECT storekit.current_tenant(), r.id, r.ref_id%s
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text%s)
            ORDER BY %s
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;$insert$,
        p_table,
        string_agg(format(', %I', c.name), '' ORDER BY c.place),
        string_agg(CASE WHEN c.preset IS NULL THEN format(', r.%I', c.name)
            ELSE format(', CASE WHEN %L = ANY (p_columns) THEN r.%I ELSE %s END', c.sent, c.name, c.preset) END,
            '' ORDER BY c.place),
        string_agg(format(', %I %s', c.name, c.type), '' ORDER BY c.place),
        storekit.insert_order(p_table))
    FROM storekit.writer_columns(p_table, p_columns, p_fields) AS c;
$$;

-- Compose the SET of an update: each column that is sent gets its value, the others keep theirs. An update that sends
-- nothing still increments the version. A part that is sent has not expired, so its `_expired_on` becomes NULL.
CREATE FUNCTION storekit.compose_sets(p_table regclass, p_entity text, p_columns text[], p_fields text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(', ',
        CASE count(*) WHEN 0 THEN 'version = t.version'
        ELSE format('(%s) = (SELECT %s FROM jsonb_to_record($3 -> t.ref_id) AS r(%s))',
            string_agg(format('%I', c.name), ', ' ORDER BY c.place),
            string_agg(format('CASE WHEN %L = ANY (%s) THEN r.%I ELSE t.%3$I END', c.sent, c.list, c.name),
                ', ' ORDER BY c.place),
            string_agg(format('%I %s', c.name, c.type), ', ' ORDER BY c.place)) END,
        (SELECT string_agg(format('%I = CASE WHEN %L <> ALL ($2) THEN t.%1$I END', f.field || '_expired_on', f.field),
                    ', ' ORDER BY f.field)
         FROM storekit.field AS f WHERE f.table_name = p_entity AND f.ttl IS NOT NULL))
    FROM storekit.writer_columns(p_table, p_columns, p_fields) AS c;
$$;

-- Compose a branch that updates rows with `p_sets`, or deletes them if that is NULL, if they fulfil `p_condition`. A
-- row is looked up in $3 by its ref_id, not joined, and the statement is planned at each call: a join, or a plan that
-- was cached when the table was small, reads all rows of the tenant (one row of 12,000: 9.9 ms instead of 0.95 ms).
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

-- Compose the body of a writer around its branches. It raises an error for unknown columns, so that no value is lost
-- silently if the class has a column that the table does not have yet. A column may have the same name as a variable
-- of the writer: with `use_variable` an unqualified name means the variable.
CREATE FUNCTION storekit.compose_body(
    p_table regclass, p_entity text, p_columns text[], p_fields text[], p_branches text
) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format($body$
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
            USING ERRCODE = 'SK424', HINT = 'add the column in a migration';
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
$body$, p_columns, p_fields, p_entity, p_table, p_branches);
$$;

-- Create or replace the writer of a table, with a branch for each operation that the table takes.
CREATE FUNCTION storekit.compose_writer(
    p_table regclass, p_entity text, p_columns text[], p_fields text[], p_mutable boolean, p_soft_delete boolean
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_alive    text := CASE WHEN p_soft_delete THEN 't.deleted_on IS NULL' END;
    v_branches text := storekit.compose_insert(p_table, p_columns, p_fields);
BEGIN
    IF p_mutable THEN
        v_branches := v_branches || storekit.compose_change('update', p_table,
            storekit.compose_sets(p_table, p_entity, p_columns, p_fields), v_alive);
    END IF;
    IF p_soft_delete THEN
        v_branches := v_branches
            || storekit.compose_change('delete', p_table,
                'deleted_on = storekit.now(), deleted_by = storekit.current_actor()', v_alive)
            || storekit.compose_change('restore', p_table,
                'deleted_on = NULL, deleted_by = NULL', 't.deleted_on IS NOT NULL');
    ELSIF p_mutable THEN
        v_branches := v_branches || storekit.compose_change('delete', p_table, NULL, NULL);
    END IF;
    -- The body is a literal (%L): a column's default may hold any text, so no dollar quote is safe around it.
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION storekit.%I(p_op text, p_columns text[], p_refs text[], p_rows jsonb, p_ref_ids text[])
         RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS %L',
        'write_' || p_entity,
        storekit.compose_body(p_table, p_entity, p_columns, p_fields, v_branches));
END
$$;
