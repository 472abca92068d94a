-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.add_triggers(p_table regclass, p_entity text, p_fields text[], p_mutable boolean, p_state text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_arguments text := (
        SELECT string_agg(quote_literal(a), ', ') FROM unnest(ARRAY[p_entity, coalesce(p_state, '')] || p_fields) AS a);
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER storekit_touch BEFORE UPDATE ON %s
         FOR EACH ROW EXECUTE FUNCTION storekit.touch(%L, %L)', p_table, p_mutable, EXISTS (
             SELECT FROM pg_attribute WHERE attrelid = p_table AND attname = 'parts_live' AND NOT attisdropped));
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER storekit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
         FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert(%s)', p_table, v_arguments);
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER storekit_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
         FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update(%s)', p_table, v_arguments);
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER storekit_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
         FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete(%s)', p_table, v_arguments);
END
$function$;

ALTER FUNCTION storekit.add_triggers(regclass,text,text[],boolean,text) OWNER TO storekit_owner;
