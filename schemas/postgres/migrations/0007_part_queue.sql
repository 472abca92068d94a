-- storekit: no transaction
-- The queue of the purge in its order: what a commit pointed at once and no row points at now.
CREATE INDEX CONCURRENTLY IF NOT EXISTS part_queue ON storekit.part (purge_after, tenant_id, part_id)
    WHERE state = 'committed' AND superseded_on IS NOT NULL;
