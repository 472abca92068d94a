-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.check_keys(p_table regclass)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_missing text;
BEGIN
    SELECT string_agg('ADD ' || wanted, ', ') INTO v_missing
    FROM unnest('{"PRIMARY KEY (tenant_id, id)","UNIQUE (tenant_id, ref_id)"}'::text[]) AS wanted
    WHERE wanted NOT IN (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = p_table);
    IF v_missing IS NOT NULL THEN
        RAISE EXCEPTION 'table % lacks keys of storekit', p_table USING ERRCODE = 'SK400',
            HINT = format('ALTER TABLE %s %s', p_table, v_missing);
    END IF;
END
$function$;

ALTER FUNCTION storekit.check_keys(regclass) OWNER TO storekit_owner;
