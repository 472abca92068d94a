-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.commit_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea, p_parts jsonb, p_ops jsonb, p_on_behalf_of text DEFAULT NULL::text, p_context jsonb DEFAULT NULL::jsonb)
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
    v_parts   jsonb := coalesce(p_parts, '[]');
    v_outcome jsonb;
    v_rows    jsonb := '[]';
    v_places  jsonb := '[]';
    v_op      jsonb;
    v_keys    text;
    v_freed   jsonb;
    v_reason  text := coalesce(current_setting('storekit.reason', true), '');
    v_set     text;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    PERFORM storekit.attribute(p_on_behalf_of, p_context);
    v_outcome := storekit.claim(p_tenant, p_actor, p_write_id, p_key, p_fingerprint, v_parts <> '[]');
    IF v_outcome IS NOT NULL THEN
        RETURN v_outcome;
    END IF;
    v_set := set_config('storekit.write_id', p_write_id::text, true);
    PERFORM storekit.commit_parts(p_tenant, p_write_id, v_parts, p_ops);
    PERFORM storekit.lock_rows(p_ops);
    IF p_ops -> 0 ? 'exchange' THEN
        v_freed := storekit.begin_exchange(p_ops);
    END IF;
    IF p_ops -> 0 ? 'circle' THEN
        v_keys := storekit.circle_keys(p_ops);
    END IF;
    IF v_keys IS NOT NULL THEN
        EXECUTE concat('SET CONSTRAINTS ', v_keys, ' DEFERRED');
    END IF;
    FOR v_op IN SELECT op FROM jsonb_array_elements(p_ops) AS op LOOP
        IF v_keys IS NOT NULL AND v_freed IS NULL AND v_op ->> 'op' = 'delete' THEN
            EXECUTE concat('SET CONSTRAINTS ', v_keys, ' IMMEDIATE');  -- a delete reports its violations itself
            v_keys := NULL;
        END IF;
        IF v_op ->> 'reason' <> '' THEN
            v_set := set_config('storekit.reason', v_op ->> 'reason', true);
        END IF;
        v_rows := v_rows || storekit.write_rows(v_op);
        v_places := v_places || coalesce(v_op -> 'places', '[]');
        IF v_op ->> 'reason' <> '' THEN
            v_set := set_config('storekit.reason', v_reason, true);  -- the other was of this operation only
        END IF;
    END LOOP;
    IF v_freed IS NOT NULL THEN
        PERFORM storekit.end_exchange(p_write_id, p_ops, v_freed);
    END IF;
    IF v_keys IS NOT NULL THEN
        EXECUTE concat('SET CONSTRAINTS ', v_keys, ' IMMEDIATE');
    END IF;
    UPDATE storekit.write AS w SET result = jsonb_build_object('rows', v_rows)
        || CASE WHEN v_places = '[]' THEN '{}' ELSE jsonb_build_object('places', v_places) END
    WHERE w.tenant_id = p_tenant AND w.write_id = p_write_id;
    -- Events of SQL that the caller runs after this call, in the same transaction, must not carry this write's id.
    v_set := set_config('storekit.write_id', '', true);
    RETURN jsonb_build_object('outcome', 'committed', 'now', storekit.now(), 'rows', v_rows);
END
$function$;

ALTER FUNCTION storekit.commit_v1(uuid,text,uuid,text,bytea,jsonb,jsonb,text,jsonb) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.commit_v1(uuid,text,uuid,text,bytea,jsonb,jsonb,text,jsonb) TO storekit_app;
