-- storekit: no transaction
DROP INDEX CONCURRENTLY IF EXISTS public.llm_calls_run_id_tenant_id_idx;
