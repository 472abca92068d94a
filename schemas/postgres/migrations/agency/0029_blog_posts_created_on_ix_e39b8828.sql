-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS blog_posts_created_on_ix_e39b8828 ON public.blog_posts (tenant_id, created_on DESC, ref_id DESC) WHERE status = 'in_review' AND deleted_on IS NULL;
