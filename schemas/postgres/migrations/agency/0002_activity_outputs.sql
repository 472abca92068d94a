CREATE TYPE public.activity_outputs_status AS ENUM ('draft', 'in_review', 'approved', 'rejected');

CREATE TABLE public.activity_outputs (
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
    run_id uuid NOT NULL,
    status public.activity_outputs_status NOT NULL DEFAULT 'draft',
    reviewed_on timestamptz,
    reviewed_by text,
    metadata_ref uuid,
    content_ref uuid,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, ref_id),
    CONSTRAINT activity_outputs_run_id_fk_3d22eff8 FOREIGN KEY (tenant_id, run_id) REFERENCES public.activity_runs (tenant_id, id) ON DELETE RESTRICT DEFERRABLE
);

CREATE INDEX ON public.activity_outputs (run_id, tenant_id, ref_id);

CREATE INDEX activity_outputs_created_on_ix_78badd9f ON public.activity_outputs (tenant_id, created_on DESC, ref_id DESC) WHERE deleted_on IS NULL;

CREATE INDEX activity_outputs_created_on_ix_e2554bd3 ON public.activity_outputs (tenant_id, created_on DESC, ref_id DESC) WHERE status = 'in_review' AND deleted_on IS NULL;

INSERT INTO storekit.field (table_name, field, kind, ttl, links, collection) VALUES
    ('activity_outputs', 'metadata', 'document', NULL, '{content}', 'activity_outputs'),
    ('activity_outputs', 'content', 'blob', NULL, '{}', NULL)
ON CONFLICT (table_name, field) DO UPDATE SET
    kind = excluded.kind, ttl = excluded.ttl, links = excluded.links, collection = excluded.collection;

DELETE FROM storekit.move WHERE entity = 'activity_outputs';
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES
    ('activity_outputs', 'status', '', 'draft'),
    ('activity_outputs', 'status', '', 'in_review'),
    ('activity_outputs', 'status', 'draft', 'in_review'),
    ('activity_outputs', 'status', 'in_review', 'draft'),
    ('activity_outputs', 'status', 'in_review', 'approved'),
    ('activity_outputs', 'status', 'in_review', 'rejected'),
    ('activity_outputs', 'status', 'rejected', 'draft');

SELECT storekit.manage('public.activity_outputs');
