-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS tool_calls_created_on_ix_e2d20004 ON public.tool_calls (tenant_id, created_on DESC, ref_id DESC) WHERE status = 'failed' AND deleted_on IS NULL;
