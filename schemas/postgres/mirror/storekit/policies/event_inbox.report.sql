-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE POLICY report ON storekit.event_inbox
    FOR INSERT TO storekit_reports
    WITH CHECK (tenant_id = storekit.nil() AND starts_with(entity, 'report.'::text) AND type = 'report.read'::text);
