-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.insert_order(p_table regclass)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    SELECT concat_ws(', ', string_agg(format('r.%I', a.attname), ', ' ORDER BY k.n), 'r.ref_id COLLATE "C"')
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
        AND c.relname = (SELECT t.relname || '_natural_key' FROM pg_class AS t WHERE t.oid = p_table)
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = p_table AND a.attname <> 'tenant_id';
$function$;

ALTER FUNCTION storekit.insert_order(regclass) OWNER TO storekit_owner;
