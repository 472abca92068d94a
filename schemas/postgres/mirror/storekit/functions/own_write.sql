-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.own_write(p_tenant uuid, p_write_id uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_write storekit.write;
BEGIN
    SELECT * INTO v_write FROM storekit.write AS w WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id;
    RETURN CASE
        WHEN v_write.state = 'committed' THEN
            jsonb_build_object('outcome', 'replay', 'write_id', p_write_id, 'result', v_write.result)
        WHEN v_write.state = 'pending' THEN jsonb_build_object('outcome', 'pending')
        WHEN v_write.state = 'aborted' THEN jsonb_build_object('outcome', 'lost')
        -- The id has the time of the caller's clock, so the caller compares its clock with `now`.
        WHEN storekit.id_time(p_write_id) < storekit.now() - interval '1 day' THEN
            jsonb_build_object('outcome', 'lost', 'now', storekit.now())
    END;
END
$function$;

ALTER FUNCTION storekit.own_write(uuid,uuid) OWNER TO storekit_owner;
