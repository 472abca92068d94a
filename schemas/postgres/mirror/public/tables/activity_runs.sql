-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE public.activity_runs (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id(),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamp with time zone NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    updated_on timestamp with time zone,
    updated_by text,
    activity text NOT NULL,
    agent text NOT NULL,
    attempt bigint NOT NULL DEFAULT 1,
    status public.activity_runs_status NOT NULL DEFAULT 'pending'::public.activity_runs_status,
    started_on timestamp with time zone,
    finished_on timestamp with time zone,
    error text,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    CONSTRAINT activity_runs_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT activity_runs_tenant_id_ref_id_key UNIQUE (tenant_id, ref_id),
    CONSTRAINT activity_runs_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text),
    CONSTRAINT finished_on_storable CHECK (finished_on >= to_timestamp('-62135596800'::bigint::double precision) AND finished_on < to_timestamp('253402300800'::bigint::double precision)),
    CONSTRAINT started_on_storable CHECK (started_on >= to_timestamp('-62135596800'::bigint::double precision) AND started_on < to_timestamp('253402300800'::bigint::double precision))
);
CREATE INDEX activity_runs_created_on_ix_c49ee2a2 ON public.activity_runs USING btree (tenant_id, created_on DESC, ref_id DESC);
CREATE INDEX activity_runs_created_on_ix_fad49adc ON public.activity_runs USING btree (tenant_id, created_on DESC, ref_id DESC) WHERE (status = ANY (ARRAY['pending'::public.activity_runs_status, 'running'::public.activity_runs_status]));
ALTER TABLE public.activity_runs ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE public.activity_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.activity_runs FORCE ROW LEVEL SECURITY;

ALTER TABLE public.activity_runs OWNER TO storekit_owner;
GRANT DELETE ON public.activity_runs TO storekit_app;
GRANT INSERT (activity, agent, attempt, error, finished_on, started_on, status) ON public.activity_runs TO storekit_app;
GRANT SELECT ON public.activity_runs TO storekit_app;
GRANT SELECT ON public.activity_runs TO storekit_reports;
GRANT UPDATE (activity, agent, attempt, error, finished_on, started_on, status) ON public.activity_runs TO storekit_app;

CREATE POLICY report ON public.activity_runs
    FOR SELECT TO storekit_reports
    USING (true);

CREATE POLICY tenant ON public.activity_runs
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE TRIGGER storekit_begin BEFORE INSERT ON public.activity_runs FOR EACH ROW WHEN (new.status::text <> ALL ('{pending,running}'::text[])) EXECUTE FUNCTION storekit.check_move('activity_runs', 'status');

CREATE TRIGGER storekit_delete AFTER DELETE ON public.activity_runs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('activity_runs', 'status');

CREATE TRIGGER storekit_insert AFTER INSERT ON public.activity_runs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('activity_runs', 'status');

CREATE TRIGGER storekit_move BEFORE UPDATE ON public.activity_runs FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status) EXECUTE FUNCTION storekit.check_move('activity_runs', 'status');

CREATE TRIGGER storekit_touch BEFORE UPDATE ON public.activity_runs FOR EACH ROW EXECUTE FUNCTION storekit.touch('t', 't');

CREATE TRIGGER storekit_update AFTER UPDATE ON public.activity_runs REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('activity_runs', 'status');
