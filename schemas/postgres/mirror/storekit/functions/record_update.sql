-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.record_update()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO, MDY'
 SET "IntervalStyle" TO 'postgres'
 SET bytea_output TO 'hex'
 SET extra_float_digits TO '1'
 SET row_security TO 'on'
AS $function$
#variable_conflict use_variable
DECLARE
    v_dropped uuid[];
BEGIN
    WITH image AS (
        SELECT _old.tenant_id, _old.ref_id, 0 AS version, to_json(_old) AS before, NULL::json AS after FROM old_rows AS _old
        UNION ALL
        SELECT _new.tenant_id, _new.ref_id, _new.version, NULL, to_json(_new) FROM new_rows AS _new
    ), pair AS (
        SELECT i.tenant_id, i.ref_id, max(i.version) AS version,
               (array_agg(i.before) FILTER (WHERE i.before IS NOT NULL))[1] AS before,
               (array_agg(i.after) FILTER (WHERE i.after IS NOT NULL))[1] AS after
        FROM image AS i
        GROUP BY i.tenant_id, i.ref_id
    ), change AS MATERIALIZED (
        SELECT p.tenant_id, p.ref_id, p.version, coalesce(d.before, '{}') AS before, coalesce(d.after, '{}') AS after
        FROM pair AS p CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(key, b.value) AS before, jsonb_object_agg(key, a.value) AS after
            FROM json_each(p.before) AS b JOIN json_each(p.after) AS a USING (key)
            WHERE b.value::text <> a.value::text AND key NOT IN ('version', 'updated_on', 'updated_by')
        ) AS d
        WHERE p.version <> (p.before ->> 'version')::bigint  -- touch() keeps it if nothing changes
    ), recorded AS (
        INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, before, after)
        SELECT c.tenant_id, TG_ARGV[0], c.ref_id, c.version,
               TG_ARGV[0] || CASE WHEN c.before -> 'deleted_on' = 'null' THEN '.deleted'
                                  WHEN c.after -> 'deleted_on' = 'null' THEN '.restored'
                                  WHEN c.after ? TG_ARGV[1] THEN '.transitioned'
                                  ELSE '.updated' END,
               c.before, c.after
        FROM change AS c
        ORDER BY c.ref_id
    )
    SELECT array_agg((c.before ->> (field || '_ref'))::uuid) INTO v_dropped
    FROM change AS c, unnest(TG_ARGV[2:]) AS field
    WHERE c.before ->> (field || '_ref') IS NOT NULL;
    PERFORM storekit.supersede(v_dropped);
    RETURN NULL;
END
$function$;

ALTER FUNCTION storekit.record_update() OWNER TO storekit_owner;
