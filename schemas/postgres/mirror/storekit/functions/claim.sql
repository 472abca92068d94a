-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.claim(p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea, p_staged boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_outcome jsonb := '{"outcome": "pending"}';
BEGIN
    IF NOT p_staged THEN
        v_outcome := CASE WHEN storekit.id_time(p_write_id) < storekit.now() - interval '1 day'
            THEN storekit.own_write(p_tenant, p_write_id)
            ELSE storekit.insert_write(p_tenant, p_actor, p_write_id, p_key, p_fingerprint, NULL) END;
    END IF;
    IF v_outcome ->> 'outcome' = 'pending' THEN
        -- The lease is not checked: a commit after the lease has expired succeeds if no other process took the write
        -- over.
        UPDATE storekit.write AS w SET state = 'committed', finished_on = storekit.now()
        WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id AND w.state = 'pending';
        v_outcome := CASE WHEN NOT FOUND
            THEN coalesce(storekit.own_write(p_tenant, p_write_id), '{"outcome": "lost"}') END;
    END IF;
    RETURN v_outcome;
END
$function$;

ALTER FUNCTION storekit.claim(uuid,text,uuid,text,bytea,boolean) OWNER TO storekit_owner;
