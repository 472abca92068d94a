-- storekit: no transaction
DROP INDEX CONCURRENTLY IF EXISTS public.sessions_expires_on_ix_ee7a7f23;
