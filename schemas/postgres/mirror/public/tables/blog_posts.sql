-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE public.blog_posts (
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
    output_id uuid NOT NULL,
    title text NOT NULL,
    status public.blog_posts_status NOT NULL DEFAULT 'draft'::public.blog_posts_status,
    channel text,
    word_count bigint NOT NULL DEFAULT 0,
    reviewed_on timestamp with time zone,
    reviewed_by text,
    published_on timestamp with time zone,
    external_id text,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    CONSTRAINT blog_posts_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT blog_posts_tenant_id_ref_id_key UNIQUE (tenant_id, ref_id),
    CONSTRAINT blog_posts_output_id_fk_2a668862 FOREIGN KEY (tenant_id, output_id) REFERENCES public.activity_outputs(tenant_id, id) ON DELETE RESTRICT DEFERRABLE,
    CONSTRAINT blog_posts_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text),
    CONSTRAINT published_on_storable CHECK (published_on >= to_timestamp('-62135596800'::bigint::double precision) AND published_on < to_timestamp('253402300800'::bigint::double precision)),
    CONSTRAINT reviewed_on_storable CHECK (reviewed_on >= to_timestamp('-62135596800'::bigint::double precision) AND reviewed_on < to_timestamp('253402300800'::bigint::double precision))
);
CREATE INDEX blog_posts_created_on_ix_59649ea8 ON public.blog_posts USING btree (tenant_id, created_on DESC, ref_id DESC) WHERE (deleted_on IS NULL);
CREATE INDEX blog_posts_created_on_ix_e39b8828 ON public.blog_posts USING btree (tenant_id, created_on DESC, ref_id DESC) WHERE ((status = 'in_review'::public.blog_posts_status) AND (deleted_on IS NULL));
CREATE INDEX blog_posts_output_id_tenant_id_ref_id_idx ON public.blog_posts USING btree (output_id, tenant_id, ref_id);
ALTER TABLE public.blog_posts ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE public.blog_posts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.blog_posts FORCE ROW LEVEL SECURITY;

ALTER TABLE public.blog_posts OWNER TO storekit_owner;
GRANT DELETE ON public.blog_posts TO storekit_app;
GRANT INSERT (channel, external_id, output_id, published_on, reviewed_by, reviewed_on, status, title, word_count) ON public.blog_posts TO storekit_app;
GRANT SELECT ON public.blog_posts TO storekit_app;
GRANT SELECT ON public.blog_posts TO storekit_reports;
GRANT UPDATE (channel, external_id, output_id, published_on, reviewed_by, reviewed_on, status, title, word_count) ON public.blog_posts TO storekit_app;

CREATE POLICY report ON public.blog_posts
    FOR SELECT TO storekit_reports
    USING (true);

CREATE POLICY tenant ON public.blog_posts
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE TRIGGER storekit_begin BEFORE INSERT ON public.blog_posts FOR EACH ROW WHEN (new.status::text <> ALL ('{draft}'::text[])) EXECUTE FUNCTION storekit.check_move('blog_posts', 'status');

CREATE TRIGGER storekit_delete AFTER DELETE ON public.blog_posts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('blog_posts', 'status');

CREATE TRIGGER storekit_insert AFTER INSERT ON public.blog_posts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('blog_posts', 'status');

CREATE TRIGGER storekit_move BEFORE UPDATE ON public.blog_posts FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status) EXECUTE FUNCTION storekit.check_move('blog_posts', 'status');

CREATE TRIGGER storekit_touch BEFORE UPDATE ON public.blog_posts FOR EACH ROW EXECUTE FUNCTION storekit.touch('t', 't');

CREATE TRIGGER storekit_update AFTER UPDATE ON public.blog_posts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('blog_posts', 'status');
