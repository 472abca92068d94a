-- The write function of a table, storekit.write_<entity>: manage() composes it from the table's columns.

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
-- Inserts follow the natural key: two writers of the same keys meet at the first of them, and neither waits for
-- the other with a lock in its hands.
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
    v_order  text;  -- of an insert
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

    v_order := concat_ws(', ', (
        SELECT string_agg(format('r.%I', a.attname), ', ' ORDER BY k.n)
        FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indexrelid
            AND c.relname = (SELECT t.relname || '_natural_key' FROM pg_class AS t WHERE t.oid = p_table)
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE i.indrelid = p_table AND a.attname <> 'tenant_id'), 'r.ref_id COLLATE "C"');

    v_body := format($insert$
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO %s AS t (tenant_id, id, ref_id%s)
            SELECT storekit.current_tenant(), r.id, r.ref_id%s
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text%s)
            ORDER BY %s
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;$insert$,
        p_table, v_names, v_values, v_types, v_order);
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
