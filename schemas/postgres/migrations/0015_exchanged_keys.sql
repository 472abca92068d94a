-- Records that exchange the values of a unique key in one commit.
--
-- Postgres checks a unique key at each row, so of two rows that exchange values the first one would fail. A deferrable
-- key would be checked at the end, but ON CONFLICT does not accept it, and two writers that insert the same keys would
-- wait for each other. So the commit first gives the rows a temporary value, which nobody sees: not as a version, not
-- in an event.

-- The columns that can have a temporary value, of each unique key of a table. A reference must name a row, and an enum
-- or a boolean has no value to spare.
CREATE FUNCTION storekit.spare_columns(p_table regclass)
RETURNS TABLE (key_columns text[], name text, spare text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.names, a.attname::text, s.spare
    FROM pg_index AS i
    CROSS JOIN LATERAL (
        SELECT array_agg(c.attname::text ORDER BY c.attnum) AS names FROM pg_attribute AS c
        WHERE c.attrelid = p_table AND c.attnum = ANY (i.indkey::int2[])) AS k
    JOIN pg_attribute AS a ON a.attrelid = p_table AND a.attnum = ANY (i.indkey::int2[])
    JOIN (VALUES
        ('text',             $spare$ 'storekit:' || gen_random_uuid() $spare$),
        ('uuid',             $spare$ gen_random_uuid() $spare$),
        ('bigint',           $spare$ (-9e18 * random())::bigint $spare$),
        ('numeric',          $spare$ (-9e18 * random())::numeric $spare$),
        ('double precision', $spare$ -9e18 * random() $spare$),
        ('date',             $spare$ date '0001-01-01' + (3e6 * random())::int $spare$),
        ('timestamp with time zone', $spare$ timestamptz '0001-01-01 00:00Z' + random() * interval '3000000 days' $spare$)
    ) AS s(type, spare) ON s.type = format_type(a.atttypid, NULL)
    WHERE i.indrelid = p_table AND i.indisunique AND NOT i.indisprimary AND i.indexprs IS NULL
      AND a.attname <> ALL ('{tenant_id,id,ref_id}')
      AND NOT EXISTS (
          SELECT FROM pg_constraint AS f WHERE f.conrelid = p_table AND f.contype = 'f' AND a.attnum = ANY (f.conkey))
    ORDER BY i.indexrelid, a.attnum;
$$;

-- Give a temporary value to each row of a table whose values of a unique key another row of the write will get.
-- `p_rows` are the rows that the write inserts and updates. Returns {ref_id: {column: value}} of the values replaced.
-- Only columns that the row's own operation sends are replaced: no other operation would set them again.
-- touch() keeps the version of a row that the owner updates to version -1, and record_update writes no event for it.
CREATE FUNCTION storekit.free_keys(p_table regclass, p_rows jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp SET extra_float_digits = 1 AS $$
DECLARE
    v_freed jsonb := '{}';
    v_some  jsonb;
    v_key   record;
BEGIN
    FOR v_key IN SELECT * FROM storekit.spare_columns(p_table) LOOP
        EXECUTE format($free$
            WITH asked AS (
                SELECT r AS item, r ->> 'ref_id' AS ref_id FROM jsonb_array_elements($1) AS r
            ), held AS (
                SELECT a.ref_id, a.item, to_jsonb(t.%1$I) AS value, ROW(%2$s) AS before, ROW(%3$s) AS after
                FROM asked AS a
                JOIN %4$s AS t ON t.tenant_id = storekit.current_tenant() AND t.ref_id = a.ref_id
                CROSS JOIN LATERAL jsonb_populate_record(t, a.item) AS n
            ), wanted AS (
                SELECT h.ref_id, h.after FROM held AS h
                UNION ALL
                SELECT a.ref_id, ROW(%3$s)
                FROM asked AS a CROSS JOIN LATERAL jsonb_populate_record(NULL::%4$s, a.item) AS n
                WHERE a.item ? 'id'
            ), done AS (
                UPDATE %4$s AS t SET %1$I = %5$s, version = -1
                FROM held AS h
                WHERE t.tenant_id = storekit.current_tenant() AND t.ref_id = h.ref_id AND h.item ? %6$L
                  AND EXISTS (SELECT FROM wanted AS w WHERE w.ref_id <> h.ref_id AND w.after = h.before)
                RETURNING h.ref_id, h.value
            )
            SELECT jsonb_object_agg(d.ref_id, jsonb_build_object(%6$L, d.value)) FROM done AS d $free$,
            v_key.name,
            (SELECT string_agg(format('t.%I', name), ', ') FROM unnest(v_key.key_columns) AS name),
            (SELECT string_agg(format('n.%I', name), ', ') FROM unnest(v_key.key_columns) AS name),
            p_table, v_key.spare, v_key.name)
        INTO v_some USING p_rows;
        -- A row may lose the values of two keys.
        SELECT v_freed || coalesce(jsonb_object_agg(s.key, coalesce(v_freed -> s.key, '{}') || s.value), '{}') INTO v_freed
        FROM jsonb_each(v_some) AS s;
    END LOOP;
    RETURN v_freed;
END
$$;

-- Free the keys of all tables of a write; called before its operations. Returns {entity: {ref_id: {column: value}}}.
CREATE FUNCTION storekit.begin_exchange(p_ops jsonb) RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, storekit, pg_temp AS $$
    SELECT jsonb_object_agg(m.entity, storekit.free_keys(format('%I.%I', m.schema_name, m.table_name)::regclass, o.rows))
    FROM (
        SELECT storekit.entity_name(op ->> 'entity') AS name, jsonb_agg(item) AS rows
        FROM jsonb_array_elements(p_ops) AS op, jsonb_array_elements(op -> 'rows') AS item
        WHERE op ->> 'op' IN ('insert', 'update')
        GROUP BY 1
    ) AS o
    CROSS JOIN LATERAL storekit.find_writable(o.name) AS m;
$$;

-- Put the values from before the write into its events, in place of the temporary ones; called after its operations,
-- in the transaction that wrote the events. A column that has its old value again is no change.
CREATE FUNCTION storekit.end_exchange(p_write_id uuid, p_freed jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    UPDATE storekit.event_inbox AS e SET
        before = (SELECT coalesce(jsonb_object_agg(b.key, coalesce(f.value -> b.key, b.value)), '{}')
                  FROM jsonb_each(e.before) AS b WHERE f.value -> b.key IS DISTINCT FROM e.after -> b.key),
        after = (SELECT coalesce(jsonb_object_agg(a.key, a.value), '{}')
                 FROM jsonb_each(e.after) AS a WHERE f.value -> a.key IS DISTINCT FROM a.value)
    FROM jsonb_each(p_freed) AS t, jsonb_each(t.value) AS f
    WHERE e.tenant_id = storekit.current_tenant() AND e.write_id = p_write_id
      AND e.entity = t.key AND e.ref_id = f.key;
END
$$;
