-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER storekit_append_only AFTER UPDATE ON public.contracts FOR EACH ROW EXECUTE FUNCTION storekit.refuse_change('contracts', 'pdf');
