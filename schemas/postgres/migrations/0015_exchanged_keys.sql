-- Records that exchange the values of a unique key in one commit.
--
-- Postgres checks a unique key at each row, so of two rows that exchange values the first one would fail. A deferrable
-- key would be checked at the end, but ON CONFLICT does not accept it, and two writers that insert the same keys would
-- wait for each other. So the commit first gives the rows a temporary value, which nobody sees: not as a version, not
-- in an event.

-- The columns that can have a temporary value, of each unique key of a table. An enum or a boolean has no unused value.
-- A reference names no row while it has a temporary value, so its constraint is deferred; it is the last choice.
-- `predicate` is the condition of a partial index.
CREATE FUNCTION storekit.spare_columns(p_table regclass)
RETURNS TABLE (key_columns text[], predicate text, name text, spare text, reference text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.names, coalesce(pg_get_expr(i.indpred, i.indrelid), 'true'), a.attname::text, s.spare,
           CASE WHEN f.oid IS NOT NULL THEN format('%s.%I', f.connamespace::regnamespace, f.conname) END
    FROM pg_index AS i
    CROSS JOIN LATERAL (
        SELECT array_agg(c.attname::text ORDER BY c.attnum) AS names FROM pg_attribute AS c
        WHERE c.attrelid = p_table AND c.attnum = ANY (i.indkey::int2[]) AND c.attname <> 'tenant_id') AS k
    JOIN pg_attribute AS a ON a.attrelid = p_table AND a.attname = ANY (k.names)
    JOIN (VALUES
        ('text',             $spare$ 'storekit:' || gen_random_uuid() $spare$),
        ('uuid',             $spare$ gen_random_uuid() $spare$),
        ('bigint',           $spare$ (-9e18 * random())::bigint $spare$),
        ('numeric',          $spare$ (-9e18 * random())::numeric $spare$),
        ('double precision', $spare$ -9e18 * random() $spare$),
        ('date',             $spare$ date '0001-01-01' + (3e6 * random())::int $spare$),
        ('timestamp with time zone', $spare$ timestamptz '0001-01-01 00:00Z' + random() * interval '3000000 days' $spare$)
    ) AS s(type, spare) ON s.type = format_type(a.atttypid, NULL)
    LEFT JOIN pg_constraint AS f ON f.conrelid = p_table AND f.contype = 'f' AND a.attnum = ANY (f.conkey)
    WHERE i.indrelid = p_table AND i.indisunique AND NOT i.indisprimary AND i.indexprs IS NULL
      AND a.attname <> ALL ('{id,ref_id}') AND (f.oid IS NULL OR f.condeferrable)
    ORDER BY i.indexrelid, f.oid IS NOT NULL, a.attnum;
$$;

-- Return {ref_id: value of the column `p_name`} of the rows whose values of a unique key another row of the write will
-- get. The other arguments are the rows of the write, {ref_id: row}: those that it updates, restores and inserts.
-- Holders and takers are grouped by key and not joined: a join of 8,000 rows took 10 s.
CREATE FUNCTION storekit.exchanged_rows(
    p_table regclass, p_key_columns text[], p_predicate text, p_name text,
    p_changed jsonb, p_restored jsonb, p_inserted jsonb
) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, storekit, pg_temp SET extra_float_digits = 1 AS $$
DECLARE
    v_columns text := (SELECT string_agg(format('_row.%I AS c%s', name, n), ', ')
                       FROM unnest(p_key_columns) WITH ORDINALITY AS k(name, n));
    v_places  text := (SELECT string_agg('k.c' || n, ', ') FROM generate_subscripts(p_key_columns, 1) AS n);
    v_found   jsonb;
BEGIN
    -- No column begins with _, so no column hides a table's alias.
    EXECUTE format($find$
        SELECT jsonb_object_agg(g.holder, g.value) FROM (
            SELECT max(k.ref_id) FILTER (WHERE k.holds) AS holder,
                   (array_agg(k.value) FILTER (WHERE k.holds))[1] AS value,
                   min(k.ref_id) FILTER (WHERE NOT k.holds) AS first,
                   max(k.ref_id) FILTER (WHERE NOT k.holds) AS last
            FROM (
                SELECT _row.ref_id, true AS holds, to_jsonb(_row.%1$I) AS value, %2$s
                FROM %3$s AS _row
                WHERE _row.tenant_id = storekit.current_tenant() AND _row.ref_id = ANY ($1) AND (%4$s)
                UNION ALL
                SELECT _row.ref_id, false, NULL, %2$s
                FROM (
                    SELECT _new.* FROM %3$s AS _old
                    CROSS JOIN LATERAL jsonb_populate_record(_old, $3 -> _old.ref_id) AS _new
                    WHERE _old.tenant_id = storekit.current_tenant() AND _old.ref_id = ANY ($2)
                ) AS _row
                WHERE (%4$s)
                UNION ALL
                SELECT _row.ref_id, false, NULL, %2$s
                FROM (
                    SELECT _new.* FROM jsonb_each($4) AS _item
                    CROSS JOIN LATERAL jsonb_populate_record(NULL::%3$s, _item.value) AS _new
                ) AS _row
                WHERE (%4$s)
            ) AS k
            WHERE num_nulls(%5$s) = 0
            GROUP BY %5$s
        ) AS g
        WHERE g.holder <> g.first OR g.holder <> g.last $find$,
        p_name, v_columns, p_table, p_predicate, v_places)
    INTO v_found
    USING ARRAY(SELECT jsonb_object_keys(p_changed)),
          ARRAY(SELECT jsonb_object_keys(p_changed || p_restored)), p_changed || p_restored, p_inserted;
    RETURN v_found;
END
$$;

-- Give a temporary value to each row of a table whose values of a unique key another row of the write will get. Returns
-- {ref_id: {column: value}} of the values replaced. touch() keeps the version of a row that the owner updates to version
-- -1, and record_update writes no event for it.
CREATE FUNCTION storekit.free_keys(p_table regclass, p_changed jsonb, p_restored jsonb, p_inserted jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_freed jsonb := '{}';
    v_rows  jsonb;
    v_key   record;
BEGIN
    FOR v_key IN SELECT * FROM storekit.spare_columns(p_table) LOOP
        v_rows := storekit.exchanged_rows(
            p_table, v_key.key_columns, v_key.predicate, v_key.name, p_changed, p_restored, p_inserted);
        CONTINUE WHEN v_rows IS NULL;
        IF v_key.reference IS NOT NULL THEN
            EXECUTE format('SET CONSTRAINTS %s DEFERRED', v_key.reference);
        END IF;
        EXECUTE format(
            'UPDATE %s AS _row SET %I = %s, version = -1
             WHERE _row.tenant_id = storekit.current_tenant() AND _row.ref_id = ANY ($1)',
            p_table, v_key.name, v_key.spare)
        USING ARRAY(SELECT jsonb_object_keys(v_rows));
        -- A row may lose the values of two keys, and a column may be part of both.
        SELECT v_freed || jsonb_object_agg(
            r.key, jsonb_build_object(v_key.name, r.value) || coalesce(v_freed -> r.key, '{}'))
        INTO v_freed FROM jsonb_each(v_rows) AS r;
    END LOOP;
    RETURN v_freed;
END
$$;

-- Free the keys of all tables of a write; called before its operations. Returns {entity: {ref_id: {column: value}}}.
-- The versions are compared first: a record that somebody else has changed must raise a conflict. Without this
-- comparison its row could violate a key first.
CREATE FUNCTION storekit.begin_exchange(p_ops jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_freed jsonb := '{}';
    v_table record;
BEGIN
    FOR v_table IN
        SELECT m.entity, format('%I.%I', m.schema_name, m.table_name)::regclass AS name, o.*
        FROM (
            SELECT storekit.entity_name(op ->> 'entity') AS entity_name,
                   coalesce(jsonb_agg(r) FILTER (WHERE op ->> 'op' = 'update'), '[]') AS updated,
                   coalesce(jsonb_object_agg(r ->> 'ref_id', r) FILTER (WHERE op ->> 'op' IN ('update', 'transition')),
                       '{}') AS changed,
                   coalesce(jsonb_object_agg(r ->> 'ref_id', r || '{"deleted_on": null}')
                       FILTER (WHERE op ->> 'op' = 'restore'), '{}') AS restored,
                   coalesce(jsonb_object_agg(r ->> 'ref_id', r) FILTER (WHERE op ->> 'op' = 'insert'), '{}') AS inserted
            FROM jsonb_array_elements(p_ops) AS op, jsonb_array_elements(op -> 'rows') AS r
            GROUP BY 1
        ) AS o
        CROSS JOIN LATERAL storekit.find_writable(o.entity_name) AS m
        WHERE o.changed <> '{}'
        ORDER BY m.entity
    LOOP
        PERFORM storekit.refuse_row(v_table.entity, storekit.first_refused(v_table.entity, 'update', v_table.updated));
        v_freed := v_freed || jsonb_build_object(
            v_table.entity, storekit.free_keys(v_table.name, v_table.changed, v_table.restored, v_table.inserted));
    END LOOP;
    RETURN v_freed;
END
$$;

-- Restore the columns that no operation has set, and put the values from before the write into its events, in place of
-- the temporary ones. A column that has its old value again has not changed. Called after the operations, in the
-- transaction that wrote the events.
CREATE FUNCTION storekit.end_exchange(p_write_id uuid, p_ops jsonb, p_freed jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_column record;
    v_freed  record;
    v_key    text;
BEGIN
    FOR v_column IN
        SELECT m.schema_name, m.table_name, f.key AS name,
               jsonb_object_agg(r.item ->> 'ref_id', e.value -> (r.item ->> 'ref_id')) AS rows
        FROM jsonb_each(p_freed) AS e
        CROSS JOIN LATERAL storekit.find_managed(e.key) AS m
        JOIN jsonb_array_elements(p_ops) AS op ON storekit.entity_name(op ->> 'entity') = e.key
        CROSS JOIN LATERAL (SELECT item FROM jsonb_array_elements(op -> 'rows') AS item) AS r
        CROSS JOIN LATERAL jsonb_each(e.value -> (r.item ->> 'ref_id')) AS f
        WHERE op ->> 'op' IN ('update', 'transition') AND NOT r.item ? f.key
        GROUP BY 1, 2, 3
    LOOP
        EXECUTE format(
            'UPDATE %I.%I AS _row SET %I = (jsonb_populate_record(_row, $1 -> _row.ref_id)).%3$I, version = -1
             WHERE _row.tenant_id = storekit.current_tenant() AND _row.ref_id = ANY ($2)',
            v_column.schema_name, v_column.table_name, v_column.name)
        USING v_column.rows, ARRAY(SELECT jsonb_object_keys(v_column.rows));
    END LOOP;
    FOR v_key IN
        SELECT DISTINCT s.reference
        FROM jsonb_each(p_freed) AS e
        CROSS JOIN LATERAL storekit.find_managed(e.key) AS m
        CROSS JOIN LATERAL storekit.spare_columns(format('%I.%I', m.schema_name, m.table_name)::regclass) AS s
        WHERE s.reference IS NOT NULL AND EXISTS (SELECT FROM jsonb_each(e.value) AS r WHERE r.value ? s.name)
    LOOP
        EXECUTE format('SET CONSTRAINTS %s IMMEDIATE', v_key);
    END LOOP;
    FOR v_freed IN SELECT key AS entity, value AS rows FROM jsonb_each(p_freed) LOOP
        UPDATE storekit.event_inbox AS e SET
            before = (SELECT coalesce(jsonb_object_agg(b.key, coalesce(v_freed.rows -> e.ref_id -> b.key, b.value)), '{}')
                      FROM jsonb_each(e.before) AS b
                      WHERE v_freed.rows -> e.ref_id -> b.key IS DISTINCT FROM e.after -> b.key),
            after = (SELECT coalesce(jsonb_object_agg(a.key, a.value), '{}')
                     FROM jsonb_each(e.after) AS a WHERE v_freed.rows -> e.ref_id -> a.key IS DISTINCT FROM a.value)
        WHERE e.tenant_id = storekit.current_tenant() AND e.write_id = p_write_id AND e.entity = v_freed.entity
          AND e.ref_id = ANY (ARRAY(SELECT jsonb_object_keys(v_freed.rows)));
    END LOOP;
END
$$;
