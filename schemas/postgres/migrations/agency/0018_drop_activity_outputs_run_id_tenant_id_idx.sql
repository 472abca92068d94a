-- storekit: no transaction
DROP INDEX CONCURRENTLY IF EXISTS public.activity_outputs_run_id_tenant_id_idx;
