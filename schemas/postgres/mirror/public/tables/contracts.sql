-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE public.contracts (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id(),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamp with time zone NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    title text NOT NULL,
    accepted_by text NOT NULL,
    accepted_on timestamp with time zone NOT NULL,
    pdf_ref uuid,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    CONSTRAINT contracts_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT contracts_tenant_id_ref_id_key UNIQUE (tenant_id, ref_id),
    CONSTRAINT pdf_ref_live FOREIGN KEY (tenant_id, pdf_ref, parts_live) REFERENCES storekit.part(tenant_id, part_id, live),
    CONSTRAINT accepted_on_storable CHECK (accepted_on >= to_timestamp('-62135596800'::bigint::double precision) AND accepted_on < to_timestamp('253402300800'::bigint::double precision)),
    CONSTRAINT contracts_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text)
);
CREATE INDEX contracts_pdf_ref_tenant_id_idx ON public.contracts USING btree (pdf_ref, tenant_id);
ALTER TABLE public.contracts ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE public.contracts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.contracts FORCE ROW LEVEL SECURITY;

ALTER TABLE public.contracts OWNER TO storekit_owner;
GRANT INSERT (accepted_by, accepted_on, title) ON public.contracts TO storekit_app;
GRANT SELECT ON public.contracts TO storekit_app;
GRANT SELECT ON public.contracts TO storekit_reports;

CREATE POLICY report ON public.contracts
    FOR SELECT TO storekit_reports
    USING (true);

CREATE POLICY tenant ON public.contracts
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE TRIGGER storekit_append_only AFTER UPDATE ON public.contracts FOR EACH ROW EXECUTE FUNCTION storekit.refuse_change('contracts', 'pdf');

CREATE TRIGGER storekit_delete AFTER DELETE ON public.contracts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('contracts', '', 'pdf');

CREATE TRIGGER storekit_insert AFTER INSERT ON public.contracts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('contracts', '', 'pdf');

CREATE TRIGGER storekit_keep BEFORE DELETE ON public.contracts FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION storekit.refuse_change('contracts', 'pdf');

CREATE TRIGGER storekit_touch BEFORE UPDATE ON public.contracts FOR EACH ROW EXECUTE FUNCTION storekit.touch('f', 't');

CREATE TRIGGER storekit_update AFTER UPDATE ON public.contracts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('contracts', '', 'pdf');
