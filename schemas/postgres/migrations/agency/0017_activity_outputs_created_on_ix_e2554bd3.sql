-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS activity_outputs_created_on_ix_e2554bd3 ON public.activity_outputs (tenant_id, created_on DESC, ref_id DESC) WHERE status = 'in_review' AND deleted_on IS NULL;
