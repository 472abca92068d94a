-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.add_key(p_table regclass, p_definition text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET row_security TO 'on'
AS $function$
DECLARE
    v_before oid[] := ARRAY(SELECT oid FROM pg_constraint WHERE conrelid = p_table);
    v_key    record;
    v_table  regclass;
BEGIN
    EXECUTE format('ALTER TABLE %s ADD %s NOT VALID', p_table, p_definition);
    FOR v_key IN
        SELECT c.conname, ARRAY(
            SELECT r.oid::regclass FROM pg_class AS r
            WHERE r.oid IN (c.conrelid, c.confrelid) AND r.relforcerowsecurity) AS forced
        FROM pg_constraint AS c WHERE c.conrelid = p_table AND c.oid <> ALL (v_before) AND NOT c.convalidated
    LOOP
        FOREACH v_table IN ARRAY v_key.forced LOOP
            EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', v_table);
        END LOOP;
        EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p_table, v_key.conname);
        FOREACH v_table IN ARRAY v_key.forced LOOP
            EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', v_table);
        END LOOP;
    END LOOP;
END
$function$;

ALTER FUNCTION storekit.add_key(regclass,text) OWNER TO storekit_owner;
