CREATE TYPE public.activity_runs_status AS ENUM ('pending', 'running', 'succeeded', 'failed', 'cancelled');

CREATE TABLE public.activity_runs (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()
        CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    updated_on timestamptz,
    updated_by text,
    activity text NOT NULL,
    agent text NOT NULL,
    attempt bigint NOT NULL DEFAULT 1,
    status public.activity_runs_status NOT NULL DEFAULT 'pending',
    started_on timestamptz,
    finished_on timestamptz,
    error text,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, ref_id)
);

CREATE INDEX activity_runs_created_on_ix_c49ee2a2 ON public.activity_runs (tenant_id, created_on DESC, ref_id DESC);

CREATE INDEX activity_runs_created_on_ix_fad49adc ON public.activity_runs (tenant_id, created_on DESC, ref_id DESC) WHERE status IN ('pending', 'running');

DELETE FROM storekit.move WHERE entity = 'activity_runs';
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES
    ('activity_runs', 'status', '', 'pending'),
    ('activity_runs', 'status', '', 'running'),
    ('activity_runs', 'status', 'pending', 'running'),
    ('activity_runs', 'status', 'pending', 'cancelled'),
    ('activity_runs', 'status', 'running', 'succeeded'),
    ('activity_runs', 'status', 'running', 'failed'),
    ('activity_runs', 'status', 'running', 'cancelled');

SELECT storekit.manage('public.activity_runs');
