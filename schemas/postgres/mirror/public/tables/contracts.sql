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
