-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER storekit_keep BEFORE DELETE ON public.llm_calls FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION storekit.refuse_change('llm_calls');
