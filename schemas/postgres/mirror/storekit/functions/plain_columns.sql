-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.plain_columns(p_table regclass, p_entity text)
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
    SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}')
    FROM pg_attribute AS a
    WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attgenerated = '' AND a.attidentity = ''
      AND a.attname <> ALL ('{tenant_id,id,ref_id,version,created_on,created_by,updated_on,updated_by,deleted_on,deleted_by}')
      AND NOT EXISTS (
          SELECT FROM storekit.field AS f
          WHERE f.table_name = p_entity AND f.kind <> 'column'
            AND a.attname IN (f.field || '_ref', f.field || '_expired_on'));
$function$;

ALTER FUNCTION storekit.plain_columns(regclass,text) OWNER TO storekit_owner;
