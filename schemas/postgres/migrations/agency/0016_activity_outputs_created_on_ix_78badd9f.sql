-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS activity_outputs_created_on_ix_78badd9f ON public.activity_outputs (tenant_id, created_on DESC, ref_id DESC) WHERE deleted_on IS NULL;
