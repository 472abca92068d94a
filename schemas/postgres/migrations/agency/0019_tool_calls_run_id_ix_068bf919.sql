-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS tool_calls_run_id_ix_068bf919 ON public.tool_calls (run_id, tenant_id, ref_id);
