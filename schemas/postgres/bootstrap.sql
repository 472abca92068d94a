-- Runs before the migrations, each time, as the admin login: creates the roles, the schema and the record of
-- migrations. Idempotent. Roles belong to the whole cluster, so in a second database they exist already.

SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY '{storekit_owner,storekit_app,storekit_worker,storekit_auditor,storekit_reporter,storekit_reports}'::text[] LOOP
        IF to_regrole(v_role) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', v_role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- another database of this cluster was set up at the same time
            END;
        END IF;
    END LOOP;

    -- The admin uses these two roles only by SET ROLE, so that it does not own any object itself.
    FOREACH v_role IN ARRAY '{storekit_owner,storekit_reports}'::text[] LOOP
        IF current_setting('server_version_num')::int < 160000 THEN
            IF NOT pg_has_role(current_user, v_role, 'MEMBER') THEN
                EXECUTE format('GRANT %I TO current_user', v_role);
            END IF;
        ELSIF NOT pg_has_role(current_user, v_role, 'SET') THEN
            EXECUTE format('GRANT %I TO current_user WITH INHERIT FALSE, SET TRUE', v_role);
        END IF;
    END LOOP;

    EXECUTE format('GRANT CREATE ON DATABASE %I TO storekit_owner', current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO storekit_owner;

SET LOCAL ROLE storekit_owner;

CREATE SCHEMA IF NOT EXISTS storekit;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE IF NOT EXISTS storekit.migration (
    line       text        NOT NULL,
    number     integer     NOT NULL,
    name       text        NOT NULL,
    sha256     bytea       NOT NULL,
    applied_on timestamptz NOT NULL DEFAULT transaction_timestamp(),
    applied_by text        NOT NULL DEFAULT session_user,
    PRIMARY KEY (line, number)
);
