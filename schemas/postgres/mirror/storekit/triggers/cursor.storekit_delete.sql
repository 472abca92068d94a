-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER storekit_delete AFTER DELETE ON storekit.cursor REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('storekit.cursor', '');
