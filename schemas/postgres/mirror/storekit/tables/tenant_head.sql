-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.tenant_head (
    tenant_id uuid NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT tenant_head_pkey PRIMARY KEY (tenant_id)
);
ALTER TABLE storekit.tenant_head ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE storekit.tenant_head ENABLE ROW LEVEL SECURITY;
ALTER TABLE storekit.tenant_head FORCE ROW LEVEL SECURITY;

ALTER TABLE storekit.tenant_head OWNER TO storekit_owner;
GRANT INSERT ON storekit.tenant_head TO storekit_worker;
GRANT SELECT ON storekit.tenant_head TO storekit_auditor;
GRANT SELECT ON storekit.tenant_head TO storekit_worker;
GRANT UPDATE ON storekit.tenant_head TO storekit_worker;

CREATE POLICY auditor ON storekit.tenant_head
    FOR SELECT TO storekit_auditor
    USING (true);

CREATE POLICY tenant ON storekit.tenant_head
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE POLICY worker ON storekit.tenant_head
    FOR ALL TO storekit_worker
    USING (true);
