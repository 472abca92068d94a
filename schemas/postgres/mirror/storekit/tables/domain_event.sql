-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.domain_event (
    pos bigint NOT NULL,
    tenant_id uuid NOT NULL,
    seq bigint NOT NULL,
    id bigint NOT NULL,
    event_id uuid NOT NULL,
    entity text NOT NULL,
    ref_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    type text NOT NULL,
    before json,
    after json,
    actor text NOT NULL,
    on_behalf_of text,
    login text NOT NULL,
    write_id uuid,
    occurred_on timestamp with time zone NOT NULL,
    sequenced_on timestamp with time zone NOT NULL,
    reason text,
    context json,
    parts json NOT NULL,
    salt bytea,
    digest bytea NOT NULL,
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT domain_event_pkey PRIMARY KEY (pos)
) PARTITION BY RANGE (pos);
CREATE INDEX domain_event_row ON ONLY storekit.domain_event USING btree (tenant_id, ref_id, pos);
CREATE INDEX domain_event_seq ON ONLY storekit.domain_event USING btree (tenant_id, seq);
ALTER TABLE storekit.domain_event ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE storekit.domain_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE storekit.domain_event FORCE ROW LEVEL SECURITY;

ALTER TABLE storekit.domain_event OWNER TO storekit_owner;
GRANT INSERT ON storekit.domain_event TO storekit_worker;
GRANT SELECT (actor, after, entity, login, occurred_on, ref_id, tenant_id, type) ON storekit.domain_event TO storekit_reports;
GRANT SELECT ON storekit.domain_event TO storekit_app;
GRANT SELECT ON storekit.domain_event TO storekit_auditor;
GRANT SELECT ON storekit.domain_event TO storekit_worker;

CREATE POLICY auditor ON storekit.domain_event
    FOR SELECT TO storekit_auditor
    USING (true);

CREATE POLICY recorded ON storekit.domain_event
    FOR SELECT TO storekit_reports
    USING (tenant_id = storekit.nil() AND type = 'report.read'::text);

CREATE POLICY tenant ON storekit.domain_event
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE POLICY worker ON storekit.domain_event
    FOR ALL TO storekit_worker
    USING (true);
