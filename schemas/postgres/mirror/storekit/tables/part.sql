-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.part (
    tenant_id uuid NOT NULL,
    part_id uuid NOT NULL,
    write_id uuid NOT NULL,
    state storekit.part_state NOT NULL DEFAULT 'pending'::storekit.part_state,
    live boolean GENERATED ALWAYS AS (
CASE
    WHEN state = 'committed'::storekit.part_state THEN true
    ELSE NULL::boolean
END) STORED,
    entity text NOT NULL,
    ref_id text COLLATE "C" NOT NULL,
    field text NOT NULL,
    store text NOT NULL,
    key text NOT NULL,
    version_id text,
    upload_id text,
    size bigint,
    sha256 bytea,
    media_type text,
    filename text,
    key_id text,
    created_on timestamp with time zone NOT NULL DEFAULT storekit.now(),
    expires_on timestamp with time zone,
    sign_until timestamp with time zone NOT NULL,
    superseded_on timestamp with time zone,
    purge_after timestamp with time zone,
    retain_until timestamp with time zone,
    legal_hold boolean NOT NULL DEFAULT false,
    sealed_on timestamp with time zone,
    CONSTRAINT part_pkey PRIMARY KEY (tenant_id, part_id),
    CONSTRAINT part_tenant_id_part_id_live_key UNIQUE (tenant_id, part_id, live),
    CONSTRAINT part_tenant_id_write_id_fkey FOREIGN KEY (tenant_id, write_id) REFERENCES storekit.write(tenant_id, write_id),
    CONSTRAINT part_key CHECK (store <> 's3'::text OR key = ((((((((tenant_id::text || '/'::text) || entity) || '/'::text) || ref_id) || '/'::text) || field) || '/'::text) || part_id::text)),
    CONSTRAINT part_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text),
    CONSTRAINT part_sha256_check CHECK (length(sha256) = 32),
    CONSTRAINT part_size_check CHECK (size >= 0),
    CONSTRAINT part_store_check CHECK (store = ANY (ARRAY['s3'::text, 'mongo'::text])),
    CONSTRAINT part_whole CHECK (state <> 'committed'::storekit.part_state OR size IS NOT NULL AND sha256 IS NOT NULL AND (store <> 's3'::text OR version_id IS NOT NULL))
);
CREATE INDEX part_queue ON storekit.part USING btree (purge_after, tenant_id, part_id) WHERE ((state = 'committed'::storekit.part_state) AND (superseded_on IS NOT NULL));
CREATE INDEX part_write ON storekit.part USING btree (write_id, tenant_id);
ALTER TABLE storekit.part ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE storekit.part ENABLE ROW LEVEL SECURITY;
ALTER TABLE storekit.part FORCE ROW LEVEL SECURITY;

ALTER TABLE storekit.part OWNER TO storekit_owner;
GRANT SELECT ON storekit.part TO storekit_app;
GRANT SELECT ON storekit.part TO storekit_auditor;
GRANT SELECT ON storekit.part TO storekit_worker;

CREATE POLICY auditor ON storekit.part
    FOR SELECT TO storekit_auditor
    USING (true);

CREATE POLICY tenant ON storekit.part
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE POLICY worker ON storekit.part
    FOR ALL TO storekit_worker
    USING (true);

CREATE TRIGGER part_moves BEFORE UPDATE ON storekit.part FOR EACH ROW WHEN (NOT (old.state = new.state OR
        CASE old.state
            WHEN 'pending'::storekit.part_state THEN new.state = ANY (ARRAY['committed'::storekit.part_state, 'aborted'::storekit.part_state])
            WHEN 'committed'::storekit.part_state THEN new.state = 'purging'::storekit.part_state AND NOT new.legal_hold AND COALESCE(new.retain_until <= storekit.now(), true) AND COALESCE(new.purge_after <= storekit.now(), false) AND new.sign_until <= storekit.now()
            WHEN 'aborted'::storekit.part_state THEN new.state = 'swept'::storekit.part_state
            WHEN 'purging'::storekit.part_state THEN new.state = 'swept'::storekit.part_state
            WHEN 'swept'::storekit.part_state THEN new.state = 'gone'::storekit.part_state
            ELSE false
        END) OR old.tenant_id <> new.tenant_id OR old.part_id <> new.part_id OR old.write_id <> new.write_id OR old.entity <> new.entity OR old.ref_id <> new.ref_id OR old.field <> new.field OR old.store <> new.store OR old.key <> new.key OR new.sign_until < old.sign_until OR old.retain_until IS NOT NULL AND COALESCE(new.retain_until < old.retain_until, true)) EXECUTE FUNCTION storekit.refuse_move();

CREATE TRIGGER part_stays BEFORE DELETE ON storekit.part FOR EACH ROW WHEN (old.state <> 'gone'::storekit.part_state) EXECUTE FUNCTION storekit.refuse_move();
