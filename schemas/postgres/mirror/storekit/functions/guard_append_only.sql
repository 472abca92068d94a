-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.guard_append_only(p_table regclass, p_entity text, p_fields text[], p_mutable boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_arguments text := (SELECT string_agg(quote_literal(a), ', ') FROM unnest(p_entity || p_fields) AS a);
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS storekit_append_only ON %1$s; DROP TRIGGER IF EXISTS storekit_keep ON %1$s', p_table);
    IF p_mutable THEN
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE TRIGGER storekit_append_only AFTER UPDATE ON %s FOR EACH ROW
         EXECUTE FUNCTION storekit.refuse_change(%s)', p_table, v_arguments);
    EXECUTE format(
        'CREATE TRIGGER storekit_keep BEFORE DELETE ON %s FOR EACH ROW WHEN (pg_trigger_depth() = 0)
         EXECUTE FUNCTION storekit.refuse_change(%s)', p_table, v_arguments);
END
$function$;

ALTER FUNCTION storekit.guard_append_only(regclass,text,text[],boolean) OWNER TO storekit_owner;
