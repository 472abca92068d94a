CREATE TABLE public.llm_calls (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()
        CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    run_id uuid NOT NULL,
    model text NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost numeric NOT NULL,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, ref_id),
    CONSTRAINT llm_calls_run_id_fk_9645e34d FOREIGN KEY (tenant_id, run_id) REFERENCES public.activity_runs (tenant_id, id) ON DELETE RESTRICT DEFERRABLE
);

CREATE INDEX ON public.llm_calls (run_id, tenant_id, ref_id);

CREATE INDEX llm_calls_created_on_ix_67205112 ON public.llm_calls (tenant_id, created_on, ref_id);

SELECT storekit.manage('public.llm_calls');
