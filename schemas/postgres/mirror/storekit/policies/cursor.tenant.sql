-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE POLICY tenant ON storekit.cursor
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());
