CREATE TYPE public.tool_calls_status AS ENUM ('running', 'succeeded', 'failed');

CREATE TABLE public.tool_calls (
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
    name text NOT NULL,
    method text NOT NULL,
    status public.tool_calls_status NOT NULL DEFAULT 'running',
    duration_ms bigint,
    payload_ref uuid,
    payload_expired_on timestamptz,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, ref_id),
    CONSTRAINT tool_calls_run_id_fk_3a4abac9 FOREIGN KEY (tenant_id, run_id) REFERENCES public.activity_runs (tenant_id, id) ON DELETE RESTRICT DEFERRABLE
);

CREATE INDEX ON public.tool_calls (run_id, tenant_id, ref_id);

CREATE INDEX tool_calls_created_on_ix_a6ba1258 ON public.tool_calls (tenant_id, created_on DESC, ref_id DESC) WHERE deleted_on IS NULL;

CREATE INDEX tool_calls_created_on_ix_e2d20004 ON public.tool_calls (tenant_id, created_on DESC, ref_id DESC) WHERE status = 'failed' AND deleted_on IS NULL;

INSERT INTO storekit.field (table_name, field, kind, ttl, links, collection) VALUES
    ('tool_calls', 'payload', 'document', interval '90 days', '{}', 'tool_call_logs')
ON CONFLICT (table_name, field) DO UPDATE SET
    kind = excluded.kind, ttl = excluded.ttl, links = excluded.links, collection = excluded.collection;

DELETE FROM storekit.move WHERE entity = 'tool_calls';
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES
    ('tool_calls', 'status', '', 'running'),
    ('tool_calls', 'status', '', 'succeeded'),
    ('tool_calls', 'status', '', 'failed'),
    ('tool_calls', 'status', 'running', 'succeeded'),
    ('tool_calls', 'status', 'running', 'failed');

SELECT storekit.manage('public.tool_calls');
