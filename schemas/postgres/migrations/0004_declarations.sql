-- What a class may declare beyond columns and parts: the moves of its state, its scope, how a row is found
-- before its tenant is known. And why something was changed, beside who and when.

-- The moves that a state machine allows; from '' means that a row may begin in that state.
CREATE TABLE storekit.move (
    entity     text NOT NULL,
    field      text NOT NULL,
    from_state text NOT NULL,
    to_state   text NOT NULL CHECK (to_state <> ''),
    PRIMARY KEY (entity, from_state, to_state)
);
GRANT SELECT ON storekit.move TO storekit_app, storekit_worker;

-- A global row belongs to the nil tenant, which everybody may read; a `self` row is its own tenant.
ALTER TABLE storekit.managed
    DROP CONSTRAINT managed_scope_check,
    -- the table holds one row for each managed table
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT managed_scope CHECK (scope IN ('tenant', 'global', 'self'));

CREATE FUNCTION storekit.nil() RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN '00000000-0000-0000-0000-000000000000'::uuid;

-- Said by storekit.transition_v1, or by hand: SELECT set_config('storekit.reason', '...', true).
ALTER TABLE storekit.event_inbox
    -- squawk-ignore adding-field-with-default
    ADD COLUMN reason text DEFAULT nullif(current_setting('storekit.reason', true), '');
ALTER TABLE storekit.domain_event ADD COLUMN reason text;

CREATE OR REPLACE VIEW storekit.event WITH (security_invoker = true) AS
SELECT pos, seq, id, event_id, tenant_id, entity, ref_id, version, type, before, after,
       actor, "session_user", write_id, occurred_on, prev_hash, hash, reason
FROM storekit.domain_event
UNION ALL
SELECT NULL, NULL, id, event_id, tenant_id, entity, ref_id, version, type, before, after,
       actor, "session_user", write_id, occurred_on, NULL, NULL, reason
FROM storekit.event_inbox;

-- How long what no row points at any more stays in the queue of the purge: as long as the longest URL that S3
-- signs, so none that was handed out dies early, whatever a service allows itself.
CREATE FUNCTION storekit.purge_delay() RETURNS interval LANGUAGE sql IMMUTABLE
RETURN interval '7 days';

-- Add a foreign key to a table with rows and check them. FORCE blinds the owner, who checks: it would call a key
-- valid over bad rows, so it is lifted from both tables while it looks.
CREATE FUNCTION storekit.add_key(p_table regclass, p_definition text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
DECLARE
    v_before oid[] := ARRAY(SELECT oid FROM pg_constraint WHERE conrelid = p_table);
    v_key    record;
    v_table  regclass;
BEGIN
    EXECUTE format('ALTER TABLE %s ADD %s NOT VALID', p_table, p_definition);
    FOR v_key IN
        SELECT c.conname, ARRAY(
            SELECT r.oid::regclass FROM pg_class AS r
            WHERE r.oid IN (c.conrelid, c.confrelid) AND r.relforcerowsecurity) AS forced
        FROM pg_constraint AS c WHERE c.conrelid = p_table AND c.oid <> ALL (v_before) AND NOT c.convalidated
    LOOP
        FOREACH v_table IN ARRAY v_key.forced LOOP
            EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', v_table);
        END LOOP;
        EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p_table, v_key.conname);
        FOREACH v_table IN ARRAY v_key.forced LOOP
            EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', v_table);
        END LOOP;
    END LOOP;
END
$$;
