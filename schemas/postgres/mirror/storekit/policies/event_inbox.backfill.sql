-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE POLICY backfill ON storekit.event_inbox
    FOR INSERT TO storekit_owner
    WITH CHECK (true);
