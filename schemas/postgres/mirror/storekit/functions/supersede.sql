-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.supersede(p_parts uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_marked bigint;
BEGIN
    IF p_parts IS NULL THEN
        RETURN;
    END IF;
    UPDATE storekit.part AS p SET
        superseded_on = coalesce(p.superseded_on, storekit.now()),
        purge_after = coalesce(p.purge_after, storekit.now() + storekit.purge_delay())
    WHERE p.tenant_id = storekit.current_tenant() AND p.part_id = ANY (p_parts);
    GET DIAGNOSTICS v_marked = ROW_COUNT;
    IF v_marked <> cardinality(p_parts) THEN
        RAISE EXCEPTION 'a statement that changes rows with parts must be for one tenant' USING ERRCODE = 'SK004',
            HINT = 'set storekit.tenant in this transaction, and change the rows of each tenant in its own';
    END IF;
END
$function$;

ALTER FUNCTION storekit.supersede(uuid[]) OWNER TO storekit_owner;
