-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.write (
    tenant_id uuid NOT NULL,
    write_id uuid NOT NULL,
    state storekit.write_state NOT NULL,
    idempotency_key text,
    fingerprint bytea,
    lease_until timestamp with time zone,
    actor text NOT NULL,
    created_on timestamp with time zone NOT NULL DEFAULT storekit.now(),
    finished_on timestamp with time zone,
    result jsonb,
    CONSTRAINT write_pkey PRIMARY KEY (tenant_id, write_id),
    CONSTRAINT write_bound CHECK (idempotency_key IS NULL OR fingerprint IS NOT NULL),
    CONSTRAINT write_finished CHECK ((state = 'pending'::storekit.write_state) = (finished_on IS NULL)),
    CONSTRAINT write_idempotency_key_check CHECK (length(idempotency_key) >= 1 AND length(idempotency_key) <= 255),
    CONSTRAINT write_leased CHECK (state <> 'pending'::storekit.write_state OR lease_until IS NOT NULL)
) WITH (fillfactor=80);
CREATE UNIQUE INDEX write_key ON storekit.write USING btree (tenant_id, idempotency_key) WHERE ((idempotency_key IS NOT NULL) AND (state = ANY (ARRAY['pending'::storekit.write_state, 'committed'::storekit.write_state])));
ALTER TABLE storekit.write ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE storekit.write ENABLE ROW LEVEL SECURITY;
ALTER TABLE storekit.write FORCE ROW LEVEL SECURITY;

ALTER TABLE storekit.write OWNER TO storekit_owner;
GRANT SELECT ON storekit.write TO storekit_app;
GRANT SELECT ON storekit.write TO storekit_auditor;
GRANT SELECT ON storekit.write TO storekit_worker;

CREATE POLICY auditor ON storekit.write
    FOR SELECT TO storekit_auditor
    USING (true);

CREATE POLICY tenant ON storekit.write
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE POLICY worker ON storekit.write
    FOR ALL TO storekit_worker
    USING (true);
