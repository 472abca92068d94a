-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE public.activity_outputs (
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
    status public.activity_outputs_status NOT NULL DEFAULT 'draft'::public.activity_outputs_status,
    reviewed_on timestamp with time zone,
    reviewed_by text,
    metadata_ref uuid,
    content_ref uuid,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    CONSTRAINT activity_outputs_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT activity_outputs_tenant_id_ref_id_key UNIQUE (tenant_id, ref_id),
    CONSTRAINT activity_outputs_run_id_fk_3d22eff8 FOREIGN KEY (tenant_id, run_id) REFERENCES public.activity_runs(tenant_id, id) ON DELETE RESTRICT DEFERRABLE,
    CONSTRAINT content_ref_live FOREIGN KEY (tenant_id, content_ref, parts_live) REFERENCES storekit.part(tenant_id, part_id, live),
    CONSTRAINT metadata_ref_live FOREIGN KEY (tenant_id, metadata_ref, parts_live) REFERENCES storekit.part(tenant_id, part_id, live),
    CONSTRAINT activity_outputs_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text),
    CONSTRAINT reviewed_on_storable CHECK (reviewed_on >= to_timestamp('-62135596800'::bigint::double precision) AND reviewed_on < to_timestamp('253402300800'::bigint::double precision))
);
CREATE INDEX activity_outputs_content_ref_tenant_id_idx ON public.activity_outputs USING btree (content_ref, tenant_id);
CREATE INDEX activity_outputs_created_on_ix_78badd9f ON public.activity_outputs USING btree (tenant_id, created_on DESC, ref_id DESC) WHERE (deleted_on IS NULL);
CREATE INDEX activity_outputs_created_on_ix_e2554bd3 ON public.activity_outputs USING btree (tenant_id, created_on DESC, ref_id DESC) WHERE ((status = 'in_review'::public.activity_outputs_status) AND (deleted_on IS NULL));
CREATE INDEX activity_outputs_metadata_ref_tenant_id_idx ON public.activity_outputs USING btree (metadata_ref, tenant_id);
CREATE INDEX activity_outputs_run_id_tenant_id_ref_id_idx ON public.activity_outputs USING btree (run_id, tenant_id, ref_id);
ALTER TABLE public.activity_outputs ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE public.activity_outputs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.activity_outputs FORCE ROW LEVEL SECURITY;

ALTER TABLE public.activity_outputs OWNER TO storekit_owner;
GRANT DELETE ON public.activity_outputs TO storekit_app;
GRANT INSERT (reviewed_by, reviewed_on, run_id, status) ON public.activity_outputs TO storekit_app;
GRANT SELECT ON public.activity_outputs TO storekit_app;
GRANT SELECT ON public.activity_outputs TO storekit_reports;
GRANT UPDATE (reviewed_by, reviewed_on, run_id, status) ON public.activity_outputs TO storekit_app;

CREATE POLICY report ON public.activity_outputs
    FOR SELECT TO storekit_reports
    USING (true);

CREATE POLICY tenant ON public.activity_outputs
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE TRIGGER storekit_begin BEFORE INSERT ON public.activity_outputs FOR EACH ROW WHEN (new.status::text <> ALL ('{draft,in_review}'::text[])) EXECUTE FUNCTION storekit.check_move('activity_outputs', 'status');

CREATE TRIGGER storekit_delete AFTER DELETE ON public.activity_outputs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('activity_outputs', 'status', 'content', 'metadata');

CREATE TRIGGER storekit_insert AFTER INSERT ON public.activity_outputs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('activity_outputs', 'status', 'content', 'metadata');

CREATE TRIGGER storekit_move BEFORE UPDATE ON public.activity_outputs FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status) EXECUTE FUNCTION storekit.check_move('activity_outputs', 'status');

CREATE TRIGGER storekit_touch BEFORE UPDATE ON public.activity_outputs FOR EACH ROW EXECUTE FUNCTION storekit.touch('t', 't');

CREATE TRIGGER storekit_update AFTER UPDATE ON public.activity_outputs REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('activity_outputs', 'status', 'content', 'metadata');
