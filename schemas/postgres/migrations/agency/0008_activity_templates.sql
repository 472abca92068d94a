CREATE TABLE public.activity_templates (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()
        CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    updated_on timestamptz,
    updated_by text,
    name text NOT NULL,
    agent text NOT NULL,
    instructions text NOT NULL,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, ref_id),
    UNIQUE (id)
);

SELECT storekit.manage('public.activity_templates', 'global');
