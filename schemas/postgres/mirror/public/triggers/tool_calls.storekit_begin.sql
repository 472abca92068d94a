-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER storekit_begin BEFORE INSERT ON public.tool_calls FOR EACH ROW WHEN (new.status::text <> ALL ('{failed,running,succeeded}'::text[])) EXECUTE FUNCTION storekit.check_move('tool_calls', 'status');
