-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE public.tool_calls (
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
    run_id uuid NOT NULL,
    name text NOT NULL,
    method text NOT NULL,
    status public.tool_calls_status NOT NULL DEFAULT 'running'::public.tool_calls_status,
    duration_ms bigint,
    payload_ref uuid,
    payload_expired_on timestamp with time zone,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    CONSTRAINT tool_calls_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT tool_calls_tenant_id_ref_id_key UNIQUE (tenant_id, ref_id),
    CONSTRAINT payload_ref_live FOREIGN KEY (tenant_id, payload_ref, parts_live) REFERENCES storekit.part(tenant_id, part_id, live),
    CONSTRAINT tool_calls_run_id_fk_3a4abac9 FOREIGN KEY (tenant_id, run_id) REFERENCES public.activity_runs(tenant_id, id) ON DELETE RESTRICT DEFERRABLE,
    CONSTRAINT tool_calls_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text)
);
CREATE INDEX tool_calls_created_on_ix_a6ba1258 ON public.tool_calls USING btree (tenant_id, created_on DESC, ref_id DESC) WHERE (deleted_on IS NULL);
CREATE INDEX tool_calls_created_on_ix_e2d20004 ON public.tool_calls USING btree (tenant_id, created_on DESC, ref_id DESC) WHERE ((status = 'failed'::public.tool_calls_status) AND (deleted_on IS NULL));
CREATE INDEX tool_calls_payload_ref_tenant_id_idx ON public.tool_calls USING btree (payload_ref, tenant_id);
CREATE INDEX tool_calls_run_id_tenant_id_ref_id_idx ON public.tool_calls USING btree (run_id, tenant_id, ref_id);
ALTER TABLE public.tool_calls ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE public.tool_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.tool_calls FORCE ROW LEVEL SECURITY;

ALTER TABLE public.tool_calls OWNER TO storekit_owner;
GRANT DELETE ON public.tool_calls TO storekit_app;
GRANT INSERT (duration_ms, method, name, run_id, status) ON public.tool_calls TO storekit_app;
GRANT SELECT ON public.tool_calls TO storekit_app;
GRANT SELECT ON public.tool_calls TO storekit_reports;
GRANT UPDATE (duration_ms, method, name, run_id, status) ON public.tool_calls TO storekit_app;

CREATE POLICY report ON public.tool_calls
    FOR SELECT TO storekit_reports
    USING (true);

CREATE POLICY tenant ON public.tool_calls
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE TRIGGER storekit_begin BEFORE INSERT ON public.tool_calls FOR EACH ROW WHEN (new.status::text <> ALL ('{failed,running,succeeded}'::text[])) EXECUTE FUNCTION storekit.check_move('tool_calls', 'status');

CREATE TRIGGER storekit_delete AFTER DELETE ON public.tool_calls REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('tool_calls', 'status', 'payload');

CREATE TRIGGER storekit_insert AFTER INSERT ON public.tool_calls REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('tool_calls', 'status', 'payload');

CREATE TRIGGER storekit_move BEFORE UPDATE ON public.tool_calls FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status) EXECUTE FUNCTION storekit.check_move('tool_calls', 'status');

CREATE TRIGGER storekit_touch BEFORE UPDATE ON public.tool_calls FOR EACH ROW EXECUTE FUNCTION storekit.touch('t', 't');

CREATE TRIGGER storekit_update AFTER UPDATE ON public.tool_calls REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('tool_calls', 'status', 'payload');
