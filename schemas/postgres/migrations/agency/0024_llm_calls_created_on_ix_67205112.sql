-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS llm_calls_created_on_ix_67205112 ON public.llm_calls (tenant_id, created_on, ref_id);
