-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.guard_reason(p_table regclass, p_entity text, p_required boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS storekit_reason ON %s', p_table);
    IF p_required THEN
        EXECUTE format(
            $trigger$CREATE TRIGGER storekit_reason BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW
            WHEN (nullif(current_setting('storekit.reason', true), '') IS NULL)
            EXECUTE FUNCTION storekit.refuse_without_reason(%L)$trigger$, p_table, p_entity);
    END IF;
END
$function$;

ALTER FUNCTION storekit.guard_reason(regclass,text,boolean) OWNER TO storekit_owner;
