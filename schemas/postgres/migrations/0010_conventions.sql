-- The columns and keys that an entity's table must have. All other columns are fields of the entity.

-- Raise an error if a column of storekit is missing or defined differently; the hint is the ALTER TABLE that adds it.
-- Definitions are compared as text, including defaults: the default now(), for example, would not use the clock of
-- storekit.
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
        RAISE EXCEPTION 'table % lacks columns of storekit or defines them differently', p_entity USING ERRCODE = 'SK400',
            HINT = format('ALTER TABLE %s %s', p_table, v_missing);
    END IF;
END
$$;

-- Raise an error if a key is missing. Both keys begin with the tenant: a unique key without it would reveal ids of
-- other tenants.
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

-- The columns of the entity's own fields, which the app may write; all others are written by storekit only.
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
