-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.end_exchange(p_write_id uuid, p_freed jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
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
$function$;

ALTER FUNCTION storekit.end_exchange(uuid,jsonb) OWNER TO storekit_owner;
