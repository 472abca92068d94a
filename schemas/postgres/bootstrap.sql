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
        ELSIF pg_has_role(current_user, v_role, 'SET') THEN
            NULL;
        ELSIF pg_has_role(current_user, v_role, 'USAGE WITH ADMIN OPTION')
              OR EXISTS (SELECT FROM pg_auth_members AS m
                         WHERE m.roleid = v_role::regrole AND m.member = current_user::regrole AND m.admin_option) THEN
            EXECUTE format('GRANT %I TO current_user WITH INHERIT FALSE, SET TRUE', v_role);
        ELSE
            -- From PostgreSQL 16 on, only a superuser or the admin that created the roles may grant them.
            RAISE EXCEPTION 'the roles of storekit belong to another database of this cluster, and % may not use them',
                current_user
                USING ERRCODE = '42501', HINT = format(
                    'run this once as a superuser: GRANT storekit_owner, storekit_reports TO %1$I WITH INHERIT FALSE; '
                    'GRANT storekit_app, storekit_worker, storekit_auditor, storekit_reporter TO %1$I '
                    'WITH ADMIN TRUE, INHERIT FALSE, SET FALSE', current_user);
        END IF;
    END LOOP;

    -- The sequencer reads when the transactions of other logins began. From Postgres 16 on the admin may grant this role
    -- only if it has the ADMIN OPTION on it.
    IF NOT pg_has_role('storekit_worker', 'pg_read_all_stats', 'MEMBER') THEN
        BEGIN
            GRANT pg_read_all_stats TO storekit_worker;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING 'event_head.complete_through stays NULL until a superuser runs: '
                'GRANT pg_read_all_stats TO storekit_worker';
        END;
    END IF;
END
$$;

-- Roles belong to the whole cluster: a login of another database is a member of the same roles, and has the same rights
-- in this database, if it may connect. So the right to connect is granted to logins by name. Logins that could connect
-- so far keep that right. Logins of storekit keep it only in the first database of a cluster, because in a later one
-- they may belong to another database.
DO $$
DECLARE
    v_database text := current_database();
    v_first    boolean;
    v_login    record;
BEGIN
    IF EXISTS (
        SELECT FROM pg_database AS d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
        WHERE d.datname = v_database AND a.grantee = 0 AND a.privilege_type = 'CONNECT'
    ) THEN
        v_first := NOT EXISTS (
            SELECT FROM pg_database AS d, aclexplode(d.datacl) AS a
            WHERE d.datname <> v_database AND a.grantee = 'storekit_owner'::regrole);
        FOR v_login IN
            SELECT r.rolname FROM pg_roles AS r
            WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT pg_has_role(r.oid, 'storekit_owner', 'MEMBER')
              AND (v_first OR NOT EXISTS (
                  SELECT FROM pg_roles AS g
                  WHERE g.rolname IN ('storekit_app', 'storekit_worker', 'storekit_auditor', 'storekit_reporter')
                    AND pg_has_role(r.oid, g.oid, 'MEMBER')))
        LOOP
            EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', v_database, v_login.rolname);
        END LOOP;
        EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', v_database);
    END IF;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO storekit_owner', v_database);
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
