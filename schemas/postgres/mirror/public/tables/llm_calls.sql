-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE public.llm_calls (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id(),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamp with time zone NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    run_id uuid NOT NULL,
    model text NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost numeric NOT NULL,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    CONSTRAINT llm_calls_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT llm_calls_tenant_id_ref_id_key UNIQUE (tenant_id, ref_id),
    CONSTRAINT llm_calls_run_id_fk_9645e34d FOREIGN KEY (tenant_id, run_id) REFERENCES public.activity_runs(tenant_id, id) ON DELETE RESTRICT DEFERRABLE,
    CONSTRAINT cost_storable CHECK (cost > '-Infinity'::numeric AND cost < 'Infinity'::numeric),
    CONSTRAINT llm_calls_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text)
);
CREATE INDEX llm_calls_created_on_ix_67205112 ON public.llm_calls USING btree (tenant_id, created_on, ref_id);
CREATE INDEX llm_calls_run_id_tenant_id_ref_id_idx ON public.llm_calls USING btree (run_id, tenant_id, ref_id);
ALTER TABLE public.llm_calls ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE public.llm_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.llm_calls FORCE ROW LEVEL SECURITY;

ALTER TABLE public.llm_calls OWNER TO storekit_owner;
GRANT INSERT (cost, input_tokens, model, output_tokens, run_id) ON public.llm_calls TO storekit_app;
GRANT SELECT ON public.llm_calls TO storekit_app;
GRANT SELECT ON public.llm_calls TO storekit_reports;

CREATE POLICY report ON public.llm_calls
    FOR SELECT TO storekit_reports
    USING (true);

CREATE POLICY tenant ON public.llm_calls
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE TRIGGER storekit_append_only AFTER UPDATE ON public.llm_calls FOR EACH ROW EXECUTE FUNCTION storekit.refuse_change('llm_calls');

CREATE TRIGGER storekit_delete AFTER DELETE ON public.llm_calls REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('llm_calls', '');

CREATE TRIGGER storekit_insert AFTER INSERT ON public.llm_calls REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('llm_calls', '');

CREATE TRIGGER storekit_keep BEFORE DELETE ON public.llm_calls FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION storekit.refuse_change('llm_calls');

CREATE TRIGGER storekit_touch BEFORE UPDATE ON public.llm_calls FOR EACH ROW EXECUTE FUNCTION storekit.touch('f', 't');

CREATE TRIGGER storekit_update AFTER UPDATE ON public.llm_calls REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('llm_calls', '');
