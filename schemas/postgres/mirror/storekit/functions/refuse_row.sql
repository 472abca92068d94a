-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.refuse_row(p_entity text, p_refused jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
BEGIN
    IF p_refused ->> 'found' IS NULL AND p_refused IS NOT NULL THEN
        RAISE EXCEPTION '% % was not found', p_entity, p_refused ->> 'ref_id'
            USING ERRCODE = 'SK404', DETAIL = p_refused - '{expected,found}'::text[];
    ELSIF p_refused IS NOT NULL THEN
        RAISE EXCEPTION '% % has version %, not %', p_entity, p_refused ->> 'ref_id',
            p_refused ->> 'found', p_refused ->> 'expected' USING ERRCODE = 'SK409', DETAIL = p_refused;
    END IF;
END
$function$;

ALTER FUNCTION storekit.refuse_row(text,jsonb) OWNER TO storekit_owner;
