-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.guard_state(p_table regclass, p_entity text, p_state text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_first text[] := ARRAY(
        SELECT m.to_state FROM storekit.move AS m WHERE m.entity = p_entity AND m.from_state = '' ORDER BY 1);
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS storekit_move ON %1$s; DROP TRIGGER IF EXISTS storekit_begin ON %1$s', p_table);
    IF p_state IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE TRIGGER storekit_move BEFORE UPDATE ON %1$s FOR EACH ROW WHEN (OLD.%2$I IS DISTINCT FROM NEW.%2$I)
         EXECUTE FUNCTION storekit.check_move(%3$L, %2$L)', p_table, p_state, p_entity);
    IF v_first <> '{}' THEN
        EXECUTE format(
            'CREATE TRIGGER storekit_begin BEFORE INSERT ON %1$s FOR EACH ROW WHEN (NEW.%2$I::text <> ALL (%4$L))
             EXECUTE FUNCTION storekit.check_move(%3$L, %2$L)', p_table, p_state, p_entity, v_first);
    END IF;
END
$function$;

ALTER FUNCTION storekit.guard_state(regclass,text,text) OWNER TO storekit_owner;
