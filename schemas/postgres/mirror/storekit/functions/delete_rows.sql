-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.delete_rows(p_entity text, p_rows jsonb, p_ref_ids text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_done       jsonb;
    v_message    text;
    v_detail     text;
    v_schema     text;
    v_table      text;
    v_constraint text;
BEGIN
    EXECUTE format('SELECT storekit.%I(''delete'', ''{}'', ''{}'', $1, $2)', 'write_' || p_entity)
    INTO v_done USING p_rows, p_ref_ids;
    RETURN v_done;
EXCEPTION WHEN foreign_key_violation OR restrict_violation THEN
    GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL,
        v_schema = SCHEMA_NAME, v_table = TABLE_NAME, v_constraint = CONSTRAINT_NAME;
    RAISE EXCEPTION '%', v_message USING ERRCODE = 'restrict_violation', DETAIL = v_detail,
        SCHEMA = v_schema, TABLE = v_table, CONSTRAINT = v_constraint;
END
$function$;

ALTER FUNCTION storekit.delete_rows(text,jsonb,text[]) OWNER TO storekit_owner;
