-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE public.tenants (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id(),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamp with time zone NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    updated_on timestamp with time zone,
    updated_by text,
    deleted_on timestamp with time zone,
    deleted_by text,
    name text NOT NULL,
    external_billing_id text,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    CONSTRAINT tenants_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT tenants_tenant_id_ref_id_key UNIQUE (tenant_id, ref_id),
    CONSTRAINT storekit_scope CHECK (tenant_id = id),
    CONSTRAINT tenants_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text)
);
ALTER TABLE public.tenants ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE public.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.tenants FORCE ROW LEVEL SECURITY;

ALTER TABLE public.tenants OWNER TO storekit_owner;
GRANT DELETE ON public.tenants TO storekit_app;
GRANT INSERT (external_billing_id, name) ON public.tenants TO storekit_app;
GRANT SELECT ON public.tenants TO storekit_app;
GRANT SELECT ON public.tenants TO storekit_reports;
GRANT UPDATE (external_billing_id, name) ON public.tenants TO storekit_app;

CREATE POLICY report ON public.tenants
    FOR SELECT TO storekit_reports
    USING (true);

CREATE POLICY tenant ON public.tenants
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE TRIGGER storekit_delete AFTER DELETE ON public.tenants REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('tenants', '');

CREATE TRIGGER storekit_insert AFTER INSERT ON public.tenants REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('tenants', '');

CREATE TRIGGER storekit_touch BEFORE UPDATE ON public.tenants FOR EACH ROW EXECUTE FUNCTION storekit.touch('t', 't');

CREATE TRIGGER storekit_update AFTER UPDATE ON public.tenants REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('tenants', '');
