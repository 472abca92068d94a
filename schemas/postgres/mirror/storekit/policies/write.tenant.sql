-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE POLICY tenant ON storekit.write
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());
