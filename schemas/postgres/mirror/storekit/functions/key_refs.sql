-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.key_refs(p_table regclass, p_fields text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET row_security TO 'on'
AS $function$
DECLARE
    v_field text;
    v_name  text;
    v_used  boolean;
BEGIN
    FOREACH v_field IN ARRAY p_fields LOOP
        v_name := v_field || '_ref_live';
        CONTINUE WHEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = p_table AND conname = v_name);
        -- Postgres checks a new key as the owner, from whom forced row-level security hides the rows: the key would be
        -- marked as valid although rows violate it. So FORCE is lifted while the key is added.
        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', p_table);
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NOT NULL)', p_table, v_field || '_ref') INTO v_used;
        IF v_used THEN
            ALTER TABLE storekit.part NO FORCE ROW LEVEL SECURITY;
        END IF;
        EXECUTE format(
            'ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (tenant_id, %I, parts_live)
             REFERENCES storekit.part (tenant_id, part_id, live)', p_table, v_name, v_field || '_ref');
        EXECUTE format('CREATE INDEX ON %s (%I, tenant_id)', p_table, v_field || '_ref');
        IF v_used THEN
            ALTER TABLE storekit.part FORCE ROW LEVEL SECURITY;
        END IF;
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_table);
    END LOOP;
END
$function$;

ALTER FUNCTION storekit.key_refs(regclass,text[]) OWNER TO storekit_owner;
