-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS tool_calls_created_on_ix_a6ba1258 ON public.tool_calls (tenant_id, created_on DESC, ref_id DESC) WHERE deleted_on IS NULL;
