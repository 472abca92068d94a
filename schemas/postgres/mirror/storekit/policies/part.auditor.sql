-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE POLICY auditor ON storekit.part
    FOR SELECT TO storekit_auditor
    USING (true);
