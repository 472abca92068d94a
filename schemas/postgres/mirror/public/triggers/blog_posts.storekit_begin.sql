-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER storekit_begin BEFORE INSERT ON public.blog_posts FOR EACH ROW WHEN (new.status::text <> ALL ('{draft}'::text[])) EXECUTE FUNCTION storekit.check_move('blog_posts', 'status');
