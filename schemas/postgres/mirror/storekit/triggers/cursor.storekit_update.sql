-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER storekit_update AFTER UPDATE ON storekit.cursor REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('storekit.cursor', '');
