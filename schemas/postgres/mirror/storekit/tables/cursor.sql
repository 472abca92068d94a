-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.cursor (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id(),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamp with time zone NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    updated_on timestamp with time zone,
    updated_by text,
    name text NOT NULL,
    "position" text NOT NULL DEFAULT ''::text,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    CONSTRAINT cursor_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT cursor_natural_key UNIQUE (tenant_id, name),
    CONSTRAINT cursor_tenant_id_ref_id_key UNIQUE (tenant_id, ref_id),
    CONSTRAINT cursor_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text)
);
ALTER TABLE storekit.cursor ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE storekit.cursor ENABLE ROW LEVEL SECURITY;
ALTER TABLE storekit.cursor FORCE ROW LEVEL SECURITY;

ALTER TABLE storekit.cursor OWNER TO storekit_owner;
GRANT DELETE ON storekit.cursor TO storekit_app;
GRANT INSERT (name, "position") ON storekit.cursor TO storekit_app;
GRANT SELECT ON storekit.cursor TO storekit_app;
GRANT SELECT ON storekit.cursor TO storekit_reports;
GRANT UPDATE (name, "position") ON storekit.cursor TO storekit_app;

CREATE POLICY report ON storekit.cursor
    FOR SELECT TO storekit_reports
    USING (true);

CREATE POLICY tenant ON storekit.cursor
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE TRIGGER storekit_delete AFTER DELETE ON storekit.cursor REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('storekit.cursor', '');

CREATE TRIGGER storekit_insert AFTER INSERT ON storekit.cursor REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('storekit.cursor', '');

CREATE TRIGGER storekit_touch BEFORE UPDATE ON storekit.cursor FOR EACH ROW EXECUTE FUNCTION storekit.touch('t', 't');

CREATE TRIGGER storekit_update AFTER UPDATE ON storekit.cursor REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('storekit.cursor', '');
