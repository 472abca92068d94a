-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.stage_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea, p_lease interval, p_parts jsonb, p_targets jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET standard_conforming_strings TO 'on'
 SET row_security TO 'on'
 SET enable_seqscan TO 'off'
 SET enable_sort TO 'on'
 SET plan_cache_mode TO 'auto'
 SET jit TO 'off'
 SET lock_timeout TO '5s'
AS $function$
DECLARE
    v_outcome jsonb;
    v_target  record;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    IF p_lease IS NULL OR p_lease NOT BETWEEN interval '1 millisecond' AND interval '1 day' THEN
        RAISE EXCEPTION 'lease % is not between 1 ms and 1 day', p_lease USING ERRCODE = 'SK400';
    END IF;
    v_outcome := coalesce(
        storekit.own_write(p_tenant, p_write_id),
        storekit.insert_write(p_tenant, p_actor, p_write_id, p_key, p_fingerprint, p_lease));
    IF v_outcome IS NULL THEN
        -- The key is claimed before the targets are read. Otherwise a retry of a committed save would find the version
        -- that it wrote itself and report a conflict, instead of returning the saved record.
        FOR v_target IN
            SELECT t ->> 'entity' AS entity, jsonb_agg(t) AS rows
            FROM jsonb_array_elements(p_targets) AS t GROUP BY 1 ORDER BY 1
        LOOP
            v_outcome := storekit.first_refused(v_target.entity, 'update', v_target.rows);
            IF v_outcome IS NOT NULL THEN
                DELETE FROM storekit.write AS w WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id;
                RETURN CASE WHEN v_outcome ->> 'found' IS NULL
                    THEN v_outcome - '{expected,found}'::text[] || '{"outcome": "missing"}'
                    ELSE v_outcome || '{"outcome": "conflict"}' END;
            END IF;
        END LOOP;
        PERFORM storekit.insert_parts(p_tenant, p_write_id, storekit.now() + p_lease, p_parts);
    ELSIF v_outcome ->> 'outcome' <> 'pending' THEN
        RETURN v_outcome;
    END IF;
    RETURN (
        SELECT jsonb_build_object(
            'outcome', 'staged', 'now', storekit.now(), 'sign_until', w.lease_until, 'parts', (
                SELECT coalesce(jsonb_object_agg(p.part_id, jsonb_build_object('key', p.key, 'expires_on', p.expires_on)), '{}')
                FROM storekit.part AS p WHERE p.tenant_id = p_tenant AND p.write_id = p_write_id))
        FROM storekit.write AS w WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id);
END
$function$;

ALTER FUNCTION storekit.stage_v1(uuid,text,uuid,text,bytea,interval,jsonb,jsonb) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.stage_v1(uuid,text,uuid,text,bytea,interval,jsonb,jsonb) TO storekit_app;
