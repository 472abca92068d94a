-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.manage(p_table regclass)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
    SELECT storekit.manage(p_table, coalesce((
        SELECT m.scope
        FROM storekit.managed AS m
        JOIN pg_namespace AS n ON n.nspname = m.schema_name
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = m.table_name
        WHERE c.oid = p_table), 'tenant'));
$function$;

ALTER FUNCTION storekit.manage(regclass) OWNER TO storekit_owner;

CREATE OR REPLACE FUNCTION storekit.manage(p_table regclass, p_scope text, p_reason_required boolean DEFAULT NULL::boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
 SET quote_all_identifiers TO 'off'
 SET "DateStyle" TO 'ISO, MDY'
 SET "IntervalStyle" TO 'postgres'
 SET "TimeZone" TO 'UTC'
 SET extra_float_digits TO '1'
AS $function$
DECLARE
    v_reason  boolean;
    v_entity  text;
    v_schema  text;
    v_name    text;
    v_owner   name;
    v_columns text[];
    v_fields  text[];
    v_state   text;
    v_mutable boolean;
    v_soft    boolean;
BEGIN
    SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner) INTO v_schema, v_name, v_owner
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_table;
    v_entity := storekit.entity_name(v_schema || '.' || v_name);
    -- 57 characters: the generated function is called write_<table>, and Postgres cuts names at 63 bytes.
    IF v_entity !~ '^([a-z][a-z0-9_]*\.)?[a-z][a-z0-9_]*$' OR length(v_entity) > 57 OR v_owner <> 'storekit_owner' THEN
        RAISE EXCEPTION 'table % must have a name of a-z, 0-9 and _, at most 57 characters with its schema, '
            'and belong to storekit_owner', p_table USING ERRCODE = 'SK400';
    END IF;
    PERFORM storekit.check_columns(p_table, v_entity), storekit.check_keys(p_table);
    v_columns := storekit.plain_columns(p_table, v_entity);
    v_state := storekit.state_field(v_entity);
    v_fields := ARRAY(
        SELECT f.field FROM storekit.field AS f
        WHERE f.table_name = v_entity AND f.kind <> 'column' ORDER BY f.field);
    SELECT coalesce(bool_or(a.attname = 'updated_on'), false), coalesce(bool_or(a.attname = 'deleted_on'), false)
    INTO v_mutable, v_soft
    FROM pg_attribute AS a WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped;

    INSERT INTO storekit.managed AS m (entity, schema_name, table_name, mutable, soft_delete, scope, reason_required)
    VALUES (v_entity, v_schema, v_name, v_mutable, v_soft, p_scope, coalesce(p_reason_required, false))
    ON CONFLICT (entity) DO UPDATE
    SET mutable = excluded.mutable, soft_delete = excluded.soft_delete, scope = excluded.scope,
        reason_required = coalesce(p_reason_required, m.reason_required)
    RETURNING m.reason_required INTO v_reason;
    INSERT INTO storekit.event_type (type, entity)
    SELECT concat(v_entity, '.', verb), v_entity
    FROM unnest(ARRAY['created'] || CASE WHEN v_mutable THEN '{updated}'::text[] END
        || CASE WHEN v_state IS NOT NULL THEN '{transitioned}'::text[] END
        || CASE WHEN v_mutable OR v_soft THEN '{deleted}'::text[] END
        || CASE WHEN v_soft THEN '{restored}'::text[] END) AS verb
    ON CONFLICT DO NOTHING;

    PERFORM storekit.key_refs(p_table, v_fields),
            storekit.guard_values(p_table, v_columns),
            storekit.protect(p_table, v_schema, v_columns, v_mutable, p_scope),
            storekit.add_triggers(p_table, v_entity, v_fields, v_mutable, v_state),
            storekit.guard_append_only(p_table, v_entity, v_fields, v_mutable),
            storekit.guard_state(p_table, v_entity, v_state),
            storekit.guard_reason(p_table, v_entity, v_reason),
            storekit.compose_writer(p_table, v_entity, v_columns, v_fields, v_mutable, v_soft);
END
$function$;

ALTER FUNCTION storekit.manage(regclass,text,boolean) OWNER TO storekit_owner;
