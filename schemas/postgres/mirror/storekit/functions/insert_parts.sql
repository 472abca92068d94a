-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.insert_parts(p_tenant uuid, p_write_id uuid, p_sign_until timestamp with time zone, p_parts jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_inserted bigint;
    v_unknown  text;
BEGIN
    INSERT INTO storekit.part (
        tenant_id, part_id, write_id, entity, ref_id, field, store, key,
        size, sha256, media_type, filename, key_id, expires_on, sign_until)
    SELECT p_tenant, p.part_id, p_write_id, f.table_name, p.ref_id, p.field,
           CASE f.kind WHEN 'blob' THEN 's3' ELSE 'mongo' END,
           coalesce(f.collection, concat_ws('/', p_tenant, f.table_name, p.ref_id, p.field, p.part_id)),
           p.size, p.sha256, p.media_type, p.filename, p.key_id,
           least(p.expires_on, storekit.now() + f.ttl), p_sign_until
    FROM jsonb_to_recordset(p_parts) AS p(
        part_id uuid, entity text, ref_id text, field text, size bigint, sha256 bytea,
        media_type text, filename text, key_id text, expires_on timestamptz)
    JOIN storekit.field AS f
      ON f.table_name = storekit.entity_name(p.entity) AND f.field = p.field AND f.kind IN ('blob', 'document')
     AND (p.expires_on IS NULL OR f.ttl IS NOT NULL);
    GET DIAGNOSTICS v_inserted = ROW_COUNT;
    IF v_inserted = coalesce(jsonb_array_length(p_parts), 0) THEN
        RETURN;
    END IF;
    SELECT concat(p.entity, '.', p.field) INTO v_unknown
    FROM jsonb_to_recordset(p_parts) AS p(entity text, field text, expires_on timestamptz)
    WHERE NOT EXISTS (
        SELECT FROM storekit.field AS f
        WHERE f.table_name = storekit.entity_name(p.entity) AND f.field = p.field
          AND f.kind IN ('blob', 'document') AND (p.expires_on IS NULL OR f.ttl IS NOT NULL))
    LIMIT 1;
    -- Checked first: a table that is missing or not managed has no declarations either, but this error says more.
    PERFORM storekit.find_managed(p.entity) FROM jsonb_to_recordset(p_parts) AS p(entity text);
    RAISE EXCEPTION '% is not declared as a part, or expires without a ttl', v_unknown
        USING ERRCODE = 'SK424', HINT = 'declare the part in the class, and migrate';
END
$function$;

ALTER FUNCTION storekit.insert_parts(uuid,uuid,timestamp with time zone,jsonb) OWNER TO storekit_owner;
