-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE POLICY report ON storekit.cursor
    FOR SELECT TO storekit_reports
    USING (true);
