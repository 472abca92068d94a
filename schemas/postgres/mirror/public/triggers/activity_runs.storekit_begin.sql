-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER storekit_begin BEFORE INSERT ON public.activity_runs FOR EACH ROW WHEN (new.status::text <> ALL ('{pending,running}'::text[])) EXECUTE FUNCTION storekit.check_move('activity_runs', 'status');
