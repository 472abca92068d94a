CREATE TYPE public.blog_posts_status AS ENUM ('draft', 'in_review', 'approved', 'published', 'rejected');

CREATE TABLE public.blog_posts (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()
        CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    updated_on timestamptz,
    updated_by text,
    deleted_on timestamptz,
    deleted_by text,
    output_id uuid NOT NULL,
    title text NOT NULL,
    status public.blog_posts_status NOT NULL DEFAULT 'draft',
    channel text,
    word_count bigint NOT NULL DEFAULT 0,
    reviewed_on timestamptz,
    reviewed_by text,
    published_on timestamptz,
    external_id text,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, ref_id),
    CONSTRAINT blog_posts_output_id_fk_2a668862 FOREIGN KEY (tenant_id, output_id) REFERENCES public.activity_outputs (tenant_id, id) ON DELETE RESTRICT DEFERRABLE
);

CREATE INDEX ON public.blog_posts (output_id, tenant_id, ref_id);

CREATE INDEX blog_posts_created_on_ix_59649ea8 ON public.blog_posts (tenant_id, created_on DESC, ref_id DESC) WHERE deleted_on IS NULL;

CREATE INDEX blog_posts_created_on_ix_e39b8828 ON public.blog_posts (tenant_id, created_on DESC, ref_id DESC) WHERE status = 'in_review' AND deleted_on IS NULL;

DELETE FROM storekit.move WHERE entity = 'blog_posts';
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES
    ('blog_posts', 'status', '', 'draft'),
    ('blog_posts', 'status', 'draft', 'in_review'),
    ('blog_posts', 'status', 'in_review', 'draft'),
    ('blog_posts', 'status', 'in_review', 'approved'),
    ('blog_posts', 'status', 'in_review', 'rejected'),
    ('blog_posts', 'status', 'approved', 'published'),
    ('blog_posts', 'status', 'approved', 'draft'),
    ('blog_posts', 'status', 'rejected', 'draft');

SELECT storekit.manage('public.blog_posts');
