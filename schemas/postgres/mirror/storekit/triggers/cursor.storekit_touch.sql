-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER storekit_touch BEFORE UPDATE ON storekit.cursor FOR EACH ROW EXECUTE FUNCTION storekit.touch('t');
