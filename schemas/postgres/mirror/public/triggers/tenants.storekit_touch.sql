-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER storekit_touch BEFORE UPDATE ON public.tenants FOR EACH ROW EXECUTE FUNCTION storekit.touch('t');
