-- storekit: no transaction
DROP INDEX CONCURRENTLY IF EXISTS public.llm_calls_created_on_ix_d1879a5b;
