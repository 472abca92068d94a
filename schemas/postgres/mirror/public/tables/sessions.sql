-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE public.sessions (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id(),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamp with time zone NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    updated_on timestamp with time zone,
    updated_by text,
    token_digest text NOT NULL,
    user_name text NOT NULL,
    expires_on timestamp with time zone NOT NULL,
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    CONSTRAINT sessions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT sessions_tenant_id_ref_id_key UNIQUE (tenant_id, ref_id),
    CONSTRAINT expires_on_storable CHECK (expires_on >= to_timestamp('-62135596800'::bigint::double precision) AND expires_on < to_timestamp('253402300800'::bigint::double precision)),
    CONSTRAINT sessions_ref_id_check CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text)
);
CREATE INDEX sessions_expires_on_ix_296bcba8 ON public.sessions USING btree (tenant_id, expires_on, ref_id);
CREATE INDEX sessions_token_digest_idx ON public.sessions USING btree (token_digest);
ALTER TABLE public.sessions ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE public.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.sessions FORCE ROW LEVEL SECURITY;

ALTER TABLE public.sessions OWNER TO storekit_owner;
GRANT DELETE ON public.sessions TO storekit_app;
GRANT INSERT (expires_on, token_digest, user_name) ON public.sessions TO storekit_app;
GRANT SELECT ON public.sessions TO storekit_app;
GRANT SELECT ON public.sessions TO storekit_reports;
GRANT UPDATE (expires_on, token_digest, user_name) ON public.sessions TO storekit_app;

CREATE POLICY lookup ON public.sessions
    FOR SELECT TO storekit_owner
    USING (token_digest = NULLIF(current_setting('storekit.lookup'::text, true), ''::text));

CREATE POLICY report ON public.sessions
    FOR SELECT TO storekit_reports
    USING (true);

CREATE POLICY tenant ON public.sessions
    FOR ALL TO PUBLIC
    USING (tenant_id = storekit.current_tenant());

CREATE TRIGGER storekit_delete AFTER DELETE ON public.sessions REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete('sessions', '');

CREATE TRIGGER storekit_insert AFTER INSERT ON public.sessions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert('sessions', '');

CREATE TRIGGER storekit_touch BEFORE UPDATE ON public.sessions FOR EACH ROW EXECUTE FUNCTION storekit.touch('t', 't');

CREATE TRIGGER storekit_update AFTER UPDATE ON public.sessions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update('sessions', '');
