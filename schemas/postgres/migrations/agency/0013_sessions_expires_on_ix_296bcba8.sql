-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS sessions_expires_on_ix_296bcba8 ON public.sessions (tenant_id, expires_on, ref_id);
