-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS llm_calls_run_id_ix_e7e87210 ON public.llm_calls (run_id, tenant_id, ref_id);
