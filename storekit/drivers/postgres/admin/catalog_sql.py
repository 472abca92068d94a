"""The queries of `catalog`. Each fact is read as jsonb, so that one query returns a whole table."""

from __future__ import annotations

COLLECTIONS = "SELECT DISTINCT collection FROM storekit.field WHERE collection IS NOT NULL ORDER BY 1"

MANAGED = """
SELECT m.entity
FROM storekit.managed AS m
JOIN pg_namespace AS n ON n.nspname = m.schema_name
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = m.table_name
ORDER BY m.entity"""

# The search path is changed inside the query, before the row of the table is found. So the functions of the
# query are those of pg_catalog, whatever the schema contains, and names of its objects are printed without
# the schema.
FACTS = """
WITH path AS MATERIALIZED (
    SELECT set_config('search_path', quote_ident(%(schema)s), true)
), this AS (
    SELECT c.* FROM path CROSS JOIN pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND c.relkind IN ('r', 'p')
), attribute AS (
    SELECT a.* FROM pg_attribute AS a JOIN this ON a.attrelid = this.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped
), "column" AS (
    SELECT a.attname AS name, jsonb_build_object(
        'type', format_type(a.atttypid, NULL) || CASE WHEN a.attcollation <> t.typcollation
            THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END,
        'nullable', NOT a.attnotnull,
        'default', CASE a.attidentity WHEN '' THEN pg_get_expr(d.adbin, d.adrelid, true) ELSE 'identity' END,
        'generated', a.attgenerated <> '',
        'enum', CASE t.typtype WHEN 'e' THEN format('%%I.%%I', n.nspname, t.typname) END,
        'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder)
                   FROM pg_enum AS e WHERE e.enumtypid = t.oid)) AS fact
    FROM attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
), index AS (
    SELECT i.relname AS name, pg_get_indexdef(x.indexrelid, 0, true)
        || CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END AS fact
    FROM pg_index AS x JOIN this ON x.indrelid = this.oid JOIN pg_class AS i ON i.oid = x.indexrelid
), "check" AS (
    SELECT k.conname AS name, pg_get_constraintdef(k.oid, true) AS fact
    FROM pg_constraint AS k JOIN this ON k.conrelid = this.oid
    WHERE k.contype = 'c' AND k.conname <> 'storekit_scope' AND k.conname NOT LIKE '%%\\_storable'
), foreign_key AS (
    SELECT k.conname AS name, jsonb_build_object(
        'columns', (SELECT jsonb_agg(a.attname ORDER BY u.place)
            FROM unnest(k.conkey) WITH ORDINALITY AS u(num, place) JOIN attribute AS a ON a.attnum = u.num),
        'to', n.nspname || '.' || c.relname,
        'target', (SELECT jsonb_agg(a.attname ORDER BY u.place)
            FROM unnest(k.confkey) WITH ORDINALITY AS u(num, place)
            JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.num),
        'action', k.confdeltype,
        'nulled', (SELECT jsonb_agg(a.attname) FROM attribute AS a
                   WHERE a.attnum = ANY (k.confdelsetcols))) AS fact
    FROM pg_constraint AS k
    JOIN this ON k.conrelid = this.oid
    JOIN pg_class AS c ON c.oid = k.confrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE k.contype = 'f'
), field AS (
    SELECT jsonb_build_object('field', f.field, 'kind', f.kind, 'links', f.links, 'collection', f.collection,
        'ttl', (extract(epoch FROM f.ttl) * 1000000)::bigint) AS fact
    FROM storekit.field AS f WHERE f.table_name = %(entity)s
), guard AS (
    SELECT 'row-level security' AS name, (relrowsecurity AND relforcerowsecurity)::text AS fact FROM this
    UNION ALL
    SELECT 'policy ' || p.polname, concat_ws(' ', p.polcmd, p.polpermissive,
        (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE r::regrole::text END, ',' ORDER BY r)
         FROM unnest(p.polroles) AS r),
        pg_get_expr(p.polqual, p.polrelid, true), '/', pg_get_expr(p.polwithcheck, p.polrelid, true))
    FROM pg_policy AS p JOIN this ON p.polrelid = this.oid
    UNION ALL
    SELECT 'trigger ' || t.tgname, t.tgenabled::text
    FROM pg_trigger AS t JOIN this ON t.tgrelid = this.oid
    WHERE NOT t.tgisinternal AND starts_with(t.tgname, 'storekit_')
    UNION ALL
    SELECT 'check ' || k.conname, pg_get_expr(k.conbin, k.conrelid, true)
    FROM pg_constraint AS k JOIN this ON k.conrelid = this.oid
    WHERE k.contype = 'c' AND k.conname LIKE '%%\\_storable'
)
SELECT jsonb_build_object(
    'columns', (SELECT jsonb_object_agg(name, fact) FROM "column"),
    'indexes', (SELECT jsonb_object_agg(name, fact) FROM index),
    'checks', (SELECT jsonb_object_agg(name, fact) FROM "check"),
    'foreign_keys', (SELECT jsonb_object_agg(name, fact) FROM foreign_key),
    'fields', (SELECT jsonb_agg(fact) FROM field),
    'moves', (SELECT jsonb_agg(jsonb_build_array(m.field, m.from_state, m.to_state))
              FROM storekit.move AS m WHERE m.entity = %(entity)s),
    'scope', (SELECT m.scope FROM storekit.managed AS m WHERE m.entity = %(entity)s),
    'guards', (SELECT jsonb_object_agg(name, fact) FROM guard),
    'writable', (SELECT jsonb_agg(a.attname) FROM attribute AS a
                 WHERE has_column_privilege('storekit_app', a.attrelid, a.attnum, 'INSERT')),
    'empty', pg_relation_size(this.oid) = 0)  -- a table whose rows were deleted does not count as empty
FROM this"""
