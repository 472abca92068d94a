-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER part_stays BEFORE DELETE ON storekit.part FOR EACH ROW WHEN (old.state <> 'gone'::storekit.part_state) EXECUTE FUNCTION storekit.refuse_move();
