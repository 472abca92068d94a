-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE public.activity_templates (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id(),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamp with time zone NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    updated_on timestamp with time zone,
    updated_by text,
    name text NOT NULL,
    agent text NOT NULL,
    instructions text NOT NULL,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    CONSTRAINT activity_templates_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT activity_templates_id_key UNIQUE (id),
    CONSTRAINT activity_templates_tenant_id_ref_id_key UNIQUE (tenant_id, ref_id),
    CONSTRAINT activity_templates_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text),
    CONSTRAINT storekit_scope CHECK (tenant_id = '00000000-0000-0000-0000-000000000000'::uuid)
);
ALTER TABLE public.activity_templates ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE public.activity_templates ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.activity_templates FORCE ROW LEVEL SECURITY;

ALTER TABLE public.activity_templates OWNER TO storekit_owner;
GRANT SELECT ON public.activity_templates TO storekit_app;
GRANT SELECT ON public.activity_templates TO storekit_reports;

CREATE POLICY everybody ON public.activity_templates
    FOR SELECT TO PUBLIC
    USING (true);

CREATE POLICY report ON public.activity_templates
    FOR SELECT TO storekit_reports
    USING (true);

CREATE POLICY tenant ON public.activity_templates
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE TRIGGER storekit_delete AFTER DELETE ON public.activity_templates REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('activity_templates', '');

CREATE TRIGGER storekit_insert AFTER INSERT ON public.activity_templates REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('activity_templates', '');

CREATE TRIGGER storekit_touch BEFORE UPDATE ON public.activity_templates FOR EACH ROW EXECUTE FUNCTION storekit.touch('t', 't');

CREATE TRIGGER storekit_update AFTER UPDATE ON public.activity_templates REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('activity_templates', '');
