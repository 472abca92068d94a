-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS blog_posts_created_on_ix_59649ea8 ON public.blog_posts (tenant_id, created_on DESC, ref_id DESC) WHERE deleted_on IS NULL;
