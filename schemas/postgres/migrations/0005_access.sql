-- Which rows of the ledger and of the events each role may see.

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY '{write,part,event_inbox,domain_event,tenant_head,domain_event_0001}'::text[] LOOP
        EXECUTE format('ALTER TABLE storekit.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
        -- With statistics the planner expects no rows of a tenant that is newer than the statistics, and plans a
        -- look-up by key as a scan of all rows of the tenant (measured: 0.9 to 4.9 ms instead of 0.3 ms).
        EXECUTE format('ALTER TABLE storekit.%I ALTER COLUMN tenant_id SET STATISTICS 0', v_table);
        CONTINUE WHEN v_table = 'domain_event_0001';  -- no policy and no grant: it is read through its parent only
        EXECUTE format('CREATE POLICY tenant ON storekit.%I USING (tenant_id = storekit.current_tenant())', v_table);
        EXECUTE format('CREATE POLICY worker ON storekit.%I TO storekit_worker USING (true)', v_table);
        EXECUTE format('CREATE POLICY auditor ON storekit.%I FOR SELECT TO storekit_auditor USING (true)', v_table);
    END LOOP;
END
$$;
-- A migration that changes rows sets no tenant, but the triggers record an event for each row.
CREATE POLICY backfill ON storekit.event_inbox FOR INSERT TO storekit_owner WITH CHECK (true);

GRANT SELECT ON storekit.write, storekit.part, storekit.event_inbox, storekit.domain_event, storekit.event
    TO storekit_app, storekit_worker, storekit_auditor;
GRANT SELECT ON storekit.tenant_head TO storekit_worker, storekit_auditor;
GRANT SELECT ON storekit.event_head TO storekit_worker;  -- who else, and who may write: 0016_sequencer.sql
