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
    FOREIGN KEY (tenant_id, run_id) REFERENCES public.activity_runs (tenant_id, id) ON DELETE RESTRICT
);

CREATE INDEX ON public.llm_calls (run_id, tenant_id);

CREATE INDEX llm_calls_created_on_ix_d1879a5b ON public.llm_calls (tenant_id, created_on);

SELECT storekit.manage('public.llm_calls');

-- What language models cost, over all tenants: for reports and bills.
SET LOCAL ROLE storekit_reports;

CREATE VIEW report.llm_costs AS
SELECT tenant_id, model, date_trunc('month', created_on, 'UTC')::date AS month, count(*) AS calls,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost) AS cost
FROM public.llm_calls
GROUP BY tenant_id, model, month
ORDER BY month, tenant_id, model;

SET LOCAL ROLE storekit_owner;
