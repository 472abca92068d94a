-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.protect(p_table regclass, p_schema text, p_columns text[], p_mutable boolean, p_scope text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_columns text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(p_columns) AS c);
    v_lookup  text := (
        SELECT f.field FROM storekit.field AS f
        WHERE f.table_name = storekit.entity_name(p_schema || '.' || (SELECT relname FROM pg_class WHERE oid = p_table))
          AND f.kind = 'column');
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p_table);
    -- As in 0005_access.sql: the planner would expect no rows of a tenant that is newer than the statistics.
    EXECUTE format('ALTER TABLE %s ALTER COLUMN tenant_id SET STATISTICS 0', p_table);
    EXECUTE format('DROP POLICY IF EXISTS tenant ON %1$s; DROP POLICY IF EXISTS everybody ON %1$s;
        DROP POLICY IF EXISTS report ON %1$s; DROP POLICY IF EXISTS lookup ON %1$s;
        ALTER TABLE %1$s DROP CONSTRAINT IF EXISTS storekit_scope', p_table);
    EXECUTE format('CREATE POLICY tenant ON %s USING (tenant_id = storekit.current_tenant())', p_table);
    EXECUTE format('CREATE POLICY report ON %s FOR SELECT TO storekit_reports USING (true)', p_table);
    IF v_lookup IS NOT NULL THEN
        -- Only storekit.lookup_v1 acts as the owner and sets storekit.lookup.
        EXECUTE format('CREATE POLICY lookup ON %s FOR SELECT TO storekit_owner
            USING (%I = nullif(current_setting(''storekit.lookup'', true), ''''))', p_table, v_lookup);
    END IF;
    IF p_scope = 'global' THEN
        EXECUTE format('CREATE POLICY everybody ON %s FOR SELECT USING (true)', p_table);
    END IF;
    IF p_scope <> 'tenant' THEN
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT storekit_scope CHECK (tenant_id = %s)', p_table,
            CASE p_scope WHEN 'self' THEN 'id' ELSE quote_literal(storekit.nil()) || '::uuid' END);
    END IF;

    EXECUTE format('GRANT USAGE ON SCHEMA %I TO storekit_app, storekit_reports', p_schema);
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, storekit_app, storekit_reports', p_table);
    EXECUTE format('GRANT SELECT ON %s TO storekit_app, storekit_reports', p_table);
    IF p_scope = 'global' THEN
        RETURN;
    END IF;
    IF v_columns IS NOT NULL THEN
        EXECUTE format('GRANT INSERT (%s) ON %s TO storekit_app', v_columns, p_table);
    END IF;
    IF p_mutable THEN
        EXECUTE format('GRANT DELETE ON %s TO storekit_app', p_table);
        IF v_columns IS NOT NULL THEN
            EXECUTE format('GRANT UPDATE (%s) ON %s TO storekit_app', v_columns, p_table);
        END IF;
    END IF;
END
$function$;

ALTER FUNCTION storekit.protect(regclass,text,text[],boolean,text) OWNER TO storekit_owner;
