-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.abort_pending(p_tenant uuid, p_write_id uuid, p_lease_before timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
BEGIN
    UPDATE storekit.write AS w SET state = 'aborted', finished_on = storekit.now()
    WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id AND w.state = 'pending'
      AND (p_lease_before IS NULL OR w.lease_until < p_lease_before);
    IF FOUND THEN
        UPDATE storekit.part AS p SET state = 'aborted'
        WHERE p.tenant_id = p_tenant AND p.write_id = p_write_id AND p.state = 'pending';
    END IF;
END
$function$;

ALTER FUNCTION storekit.abort_pending(uuid,uuid,timestamp with time zone) OWNER TO storekit_owner;
