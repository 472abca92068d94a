-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE POLICY worker ON storekit.write
    FOR ALL TO storekit_worker
    USING (true);
