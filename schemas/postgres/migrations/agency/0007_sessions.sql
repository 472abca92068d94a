CREATE TABLE public.sessions (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()
        CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    updated_on timestamptz,
    updated_by text,
    token_digest text NOT NULL,
    user_name text NOT NULL,
    expires_on timestamptz NOT NULL,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, ref_id)
);

CREATE INDEX ON public.sessions (token_digest);

CREATE INDEX sessions_expires_on_ix_296bcba8 ON public.sessions (tenant_id, expires_on, ref_id);

INSERT INTO storekit.field (table_name, field, kind) VALUES ('sessions', 'token_digest', 'column')
ON CONFLICT (table_name, field) DO UPDATE SET kind = excluded.kind;

SELECT storekit.manage('public.sessions');
