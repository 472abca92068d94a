-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS activity_runs_created_on_ix_fad49adc ON public.activity_runs (tenant_id, created_on DESC, ref_id DESC) WHERE status IN ('pending', 'running');
