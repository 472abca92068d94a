CREATE TABLE public.contracts (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()
        CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    title text NOT NULL,
    accepted_by text NOT NULL,
    accepted_on timestamptz NOT NULL,
    pdf_ref uuid,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, ref_id)
);

INSERT INTO storekit.field (table_name, field, kind, ttl, links, collection) VALUES
    ('contracts', 'pdf', 'blob', NULL, '{}', NULL)
ON CONFLICT (table_name, field) DO UPDATE SET
    kind = excluded.kind, ttl = excluded.ttl, links = excluded.links, collection = excluded.collection;

SELECT storekit.manage('public.contracts');
