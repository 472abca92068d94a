-- storekit: no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS blog_posts_output_id_ix_062727c0 ON public.blog_posts (output_id, tenant_id, ref_id);
