-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER storekit_insert AFTER INSERT ON storekit.cursor REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('storekit.cursor', '');
