-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.refuse_state(p_entity text, p_ref_id text, p_from text, p_to text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_allowed text[] := ARRAY(
        SELECT m.to_state FROM storekit.move AS m WHERE m.entity = p_entity AND m.from_state = p_from ORDER BY 1);
BEGIN
    RAISE EXCEPTION '% %: it cannot %, only %', p_entity, p_ref_id,
        CASE p_from WHEN '' THEN 'start as ' || p_to ELSE 'change from ' || p_from || ' to ' || p_to END,
        coalesce(nullif(array_to_string(v_allowed, ', '), ''), 'stay as it is')
        USING ERRCODE = 'SK410', DETAIL = jsonb_build_object(
            'entity', p_entity, 'ref_id', p_ref_id, 'from', p_from, 'to', p_to, 'allowed', v_allowed);
END
$function$;

ALTER FUNCTION storekit.refuse_state(text,text,text,text) OWNER TO storekit_owner;
