-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS activity_outputs_run_id_ix_95cc3e86 ON public.activity_outputs (run_id, tenant_id, ref_id);
