-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.transition_v1(p_tenant uuid, p_actor text, p_write_id uuid, p_entity text, p_ref_id text, p_to text, p_reason text, p_expected_version bigint)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET enable_seqscan TO 'off'
 SET lock_timeout TO '5s'
AS $function$
DECLARE
    v_table storekit.managed;
    v_field text;
    v_from  text;
    v_reply jsonb;
BEGIN
    PERFORM storekit.enter(p_tenant, p_actor);
    v_reply := storekit.own_write(p_tenant, p_write_id);
    IF v_reply IS NOT NULL THEN
        RETURN v_reply;  -- repeated after its reply was lost: the row has moved already
    END IF;
    v_table := storekit.find_writable(p_entity);
    v_field := storekit.state_field(v_table.entity);
    IF v_field IS NULL THEN
        RAISE EXCEPTION 'table % has no state machine', v_table.entity USING ERRCODE = 'SK400',
            HINT = 'declare it in the class: Annotated[Status, moves({...})]';
    END IF;
    PERFORM set_config('storekit.reason', coalesce(p_reason, ''), true);
    EXECUTE format('SELECT t.%I::text FROM %I.%I AS t WHERE t.tenant_id = $1 AND t.ref_id = $2%s FOR NO KEY UPDATE',
        v_field, v_table.schema_name, v_table.table_name,
        CASE WHEN v_table.soft_delete THEN ' AND t.deleted_on IS NULL' ELSE '' END)
    INTO v_from USING p_tenant, p_ref_id;
    -- The trigger of the table checks a changed state; an unchanged one is checked here. The commit below raises an
    -- error for a row that is missing or deleted.
    IF v_from = p_to AND NOT EXISTS (
        SELECT FROM storekit.move AS m WHERE m.entity = v_table.entity AND m.from_state = v_from AND m.to_state = p_to
    ) THEN
        PERFORM storekit.refuse_state(v_table.entity, p_ref_id, v_from, p_to);
    END IF;
    v_reply := storekit.commit_v1(p_tenant, p_actor, p_write_id, NULL, NULL, NULL, jsonb_build_array(jsonb_build_object(
        'entity', v_table.entity, 'op', 'update', 'columns', ARRAY[v_field], 'refs', '{}'::text[],
        'rows', jsonb_build_array(jsonb_build_object(
            'ref_id', p_ref_id, v_field, p_to, 'expected_version', p_expected_version)))));
    PERFORM set_config('storekit.reason', '', true);
    RETURN v_reply;
END
$function$;

ALTER FUNCTION storekit.transition_v1(uuid,text,uuid,text,text,text,text,bigint) OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.transition_v1(uuid,text,uuid,text,text,text,text,bigint) TO storekit_app;
