-- storekit: no transaction
DROP INDEX CONCURRENTLY IF EXISTS public.blog_posts_output_id_tenant_id_idx;
