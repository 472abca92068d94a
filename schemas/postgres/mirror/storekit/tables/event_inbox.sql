-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.event_inbox (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL,
    entity text NOT NULL,
    ref_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    type text NOT NULL,
    before jsonb,
    after jsonb,
    actor text NOT NULL DEFAULT storekit.current_actor(),
    on_behalf_of text DEFAULT NULLIF(current_setting('storekit.on_behalf_of'::text, true), ''::text),
    login text NOT NULL DEFAULT SESSION_USER,
    write_id uuid DEFAULT NULLIF(current_setting('storekit.write_id'::text, true), ''::text)::uuid,
    occurred_on timestamp with time zone NOT NULL DEFAULT storekit.now(),
    reason text DEFAULT NULLIF(current_setting('storekit.reason'::text, true), ''::text),
    context jsonb DEFAULT NULLIF(current_setting('storekit.context'::text, true), ''::text)::jsonb,
    CONSTRAINT event_inbox_pkey PRIMARY KEY (id),
    CONSTRAINT event_context CHECK (jsonb_typeof(context) = 'object'::text AND octet_length(context::text) <= 4096)
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000);
CREATE INDEX event_inbox_row ON storekit.event_inbox USING btree (tenant_id, ref_id);
ALTER TABLE storekit.event_inbox ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE storekit.event_inbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE storekit.event_inbox FORCE ROW LEVEL SECURITY;

ALTER TABLE storekit.event_inbox OWNER TO storekit_owner;
GRANT DELETE ON storekit.event_inbox TO storekit_worker;
GRANT INSERT (actor, after, entity, ref_id, tenant_id, type, version) ON storekit.event_inbox TO storekit_reports;
GRANT SELECT (actor, after, entity, login, occurred_on, ref_id, tenant_id, type) ON storekit.event_inbox TO storekit_reports;
GRANT SELECT ON storekit.event_inbox TO storekit_app;
GRANT SELECT ON storekit.event_inbox TO storekit_auditor;
GRANT SELECT ON storekit.event_inbox TO storekit_worker;

CREATE POLICY auditor ON storekit.event_inbox
    FOR SELECT TO storekit_auditor
    USING (true);

CREATE POLICY backfill ON storekit.event_inbox
    FOR INSERT TO storekit_owner
    WITH CHECK (true);

CREATE POLICY recorded ON storekit.event_inbox
    FOR SELECT TO storekit_reports
    USING (tenant_id = storekit.nil() AND type = 'report.read'::text);

CREATE POLICY report ON storekit.event_inbox
    FOR INSERT TO storekit_reports
    WITH CHECK (tenant_id = storekit.nil() AND starts_with(entity, 'report.'::text) AND type = 'report.read'::text);

CREATE POLICY tenant ON storekit.event_inbox
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE POLICY worker ON storekit.event_inbox
    FOR ALL TO storekit_worker
    USING (true);
