-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.spare_columns(p_table regclass)
 RETURNS TABLE(key_columns text[], predicate text, name text, spare text, reference text)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

ALTER FUNCTION storekit.spare_columns(regclass) OWNER TO storekit_owner;
