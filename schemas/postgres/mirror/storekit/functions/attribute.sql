-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.attribute(p_on_behalf_of text, p_context jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
BEGIN
    IF p_on_behalf_of IS NOT NULL THEN
        PERFORM set_config('storekit.on_behalf_of', p_on_behalf_of, true);
    END IF;
    IF p_context IS NOT NULL THEN
        PERFORM set_config('storekit.context', p_context::text, true);
    END IF;
END
$function$;

ALTER FUNCTION storekit.attribute(text,jsonb) OWNER TO storekit_owner;
