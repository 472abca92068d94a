"""The isolation check: each hole in tenant isolation is reported, and the shipped schema has none."""

from __future__ import annotations

import psycopg
import pytest

from storekit import Store
from storekit.drivers.postgres.admin.isolation import breaches
from storekit.drivers.postgres.admin.runner import connect
from storekit.errors import ConfigurationError
from tests.support.postgres import Database

DEFINER = "RETURNS bigint LANGUAGE sql SECURITY DEFINER"

PLANTED = {
    # row level security
    "ALTER TABLE tool_calls NO FORCE ROW LEVEL SECURITY":
        "table public.tool_calls does not force row level security",
    "ALTER TABLE storekit.part DISABLE ROW LEVEL SECURITY":
        "table storekit.part does not enable row level security",
    "SET ROLE storekit_owner; CREATE TABLE storekit.domain_event_0002 PARTITION OF storekit.domain_event"
    " FOR VALUES FROM (10000001) TO (20000001)":
        "table storekit.domain_event_0002 does not enable row level security",
    "SET ROLE storekit_owner; CREATE TABLE storekit.note (text text)":
        "table storekit.note does not enable row level security",
    "ALTER TABLE storekit.move ADD tenant_id uuid":
        "table storekit.move does not enable row level security",
    # policies
    "DROP POLICY tenant ON tool_calls; DROP POLICY report ON tool_calls":
        "table public.tool_calls has no policy for its tenants",
    "ALTER POLICY tenant ON tool_calls USING (true)":
        "policy tenant of public.tool_calls is not limited to the tenant: true",
    "ALTER POLICY tenant ON storekit.part WITH CHECK (true)":
        "policy tenant of storekit.part is not limited to the tenant: true",
    "ALTER POLICY tenant ON tool_calls USING (tenant_id = storekit.current_tenant() OR name = 'x')":
        "policy tenant of public.tool_calls is not limited to the tenant:"
        " tenant_id = storekit.current_tenant() OR name = 'x'::text",
    "CREATE POLICY more ON tool_calls FOR SELECT TO app USING (true)":
        "policy more of public.tool_calls is not limited to the tenant: true",
    "CREATE POLICY functions ON tool_calls TO storekit_owner USING (true)":
        "policy functions of public.tool_calls is not limited to the tenant: true",
    "CREATE POLICY forge ON activity_templates FOR INSERT WITH CHECK (true)":
        "policy forge of public.activity_templates is not limited to the tenant: true",
    # grants
    "GRANT SELECT ON storekit.domain_event_0001 TO storekit_auditor":
        "partition storekit.domain_event_0001 is granted to storekit_auditor",
    "GRANT UPDATE ON storekit.part TO storekit_app":
        "storekit_app may UPDATE storekit.part, which only the write API may change",
    "GRANT UPDATE (actor) ON storekit.domain_event TO app":
        "app may UPDATE storekit.domain_event, which only the write API may change",
    "GRANT DELETE ON storekit.event_inbox TO PUBLIC":
        "PUBLIC may DELETE storekit.event_inbox, which only the write API may change",
    "GRANT SELECT ON tool_calls TO storekit_app, PUBLIC":
        "PUBLIC may SELECT public.tool_calls",
    "SET ROLE storekit_owner; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;"
    " CREATE TABLE storekit.note (text text)":
        "PUBLIC may SELECT storekit.note",
    "GRANT INSERT ON tool_calls TO storekit_app":
        "storekit_app may INSERT all columns of public.tool_calls",
    "GRANT UPDATE (version) ON tool_calls TO app":
        "app may UPDATE version of public.tool_calls, which only the write API may set",
    "GRANT UPDATE (payload_ref) ON tool_calls TO storekit_app":
        "storekit_app may UPDATE payload_ref of public.tool_calls, which only the write API may set",
    "GRANT DELETE ON contracts TO storekit_app":
        "storekit_app may DELETE public.contracts, whose rows are append-only",
    "GRANT INSERT (name) ON activity_templates TO storekit_app":
        "storekit_app may INSERT public.activity_templates, whose rows are written by the admin only",
    "GRANT TRUNCATE ON tool_calls TO storekit_app": "storekit_app has TRUNCATE on public.tool_calls",
    "GRANT REFERENCES (tenant_id) ON storekit.part TO app": "app has REFERENCES on storekit.part",
    "GRANT TRIGGER ON storekit.write TO PUBLIC": "PUBLIC has TRIGGER on storekit.write",
    # functions
    "ALTER FUNCTION storekit.commit_v1 RESET search_path":
        "function storekit.commit_v1(uuid,text,uuid,text,bytea,jsonb,jsonb,text,jsonb) runs as storekit_owner"
        " with the search_path of its caller",
    "ALTER FUNCTION storekit.renew_v1 SET search_path = pg_catalog, storekit":
        "function storekit.renew_v1(uuid,text,uuid,interval) has search_path=pg_catalog, storekit,"
        " which must end with pg_temp",
    f"CREATE FUNCTION public.count() {DEFINER} SET search_path = pg_temp RETURN 1":
        "function public.count() runs as postgres, which bypasses row-level security",
    f"CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO PUBLIC;"
    f" CREATE FUNCTION other.count() {DEFINER} SET search_path = pg_temp RETURN 1":
        "function other.count() runs as postgres, which bypasses row-level security",
    f"CREATE FUNCTION public.count() {DEFINER} SET search_path = pg_temp RETURN 1;"
    " ALTER FUNCTION public.count() OWNER TO worker":
        "function public.count() runs as worker, which can log in",
    f"SET ROLE storekit_owner; CREATE FUNCTION public.count() {DEFINER} RETURN 1":
        "function public.count() runs as storekit_owner with the search_path of its caller",
    "SET ROLE storekit_owner; CREATE PROCEDURE public.count() LANGUAGE sql AS $$ SELECT 1 $$;"
    " ALTER PROCEDURE public.count() SECURITY DEFINER":
        "function public.count() runs as storekit_owner with the search_path of its caller",
    "SET ROLE storekit_owner; ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;"
    " CREATE FUNCTION storekit.one() RETURNS int LANGUAGE sql RETURN 1":
        "function storekit.one() may be executed by PUBLIC",
    "GRANT EXECUTE ON FUNCTION storekit.supersede TO PUBLIC":
        "function storekit.supersede(uuid[]) may be executed by PUBLIC",
    # owners
    "ALTER FUNCTION storekit.held OWNER TO postgres":
        "function storekit.held(interval) belongs to postgres, not to storekit_owner",
    "ALTER FUNCTION storekit.held OWNER TO storekit_reports":
        "function storekit.held(interval) belongs to storekit_reports, not to storekit_owner",
    "ALTER TABLE storekit.write OWNER TO admin":
        "table storekit.write belongs to admin, not to storekit_owner",
    "ALTER TABLE contracts OWNER TO admin": "table public.contracts belongs to admin, not to storekit_owner",
    "ALTER TYPE storekit.part_state OWNER TO admin":
        "type storekit.part_state belongs to admin, not to storekit_owner",
    "ALTER SCHEMA report OWNER TO storekit_reports":
        "schema report belongs to storekit_reports, not to storekit_owner",
    # keys
    "ALTER TABLE tool_calls ADD CONSTRAINT one_name UNIQUE (name)":
        "key public.one_name of public.tool_calls does not begin with tenant_id",
    "CREATE UNIQUE INDEX one_name ON storekit.write (lower(idempotency_key))":
        "key storekit.one_name of storekit.write does not begin with tenant_id",
    "ALTER TABLE tool_calls ADD CONSTRAINT apart EXCLUDE (name WITH =)":
        "key public.apart of public.tool_calls does not begin with tenant_id",
    "CREATE UNIQUE INDEX one ON storekit.domain_event_0001 (event_id)":
        "key storekit.one of storekit.domain_event_0001 does not begin with tenant_id",
    "ALTER TABLE tool_calls ADD CONSTRAINT run FOREIGN KEY (run_id, tenant_id)"
    " REFERENCES activity_runs (id, tenant_id)":
        "foreign key run of public.tool_calls does not begin with tenant_id",
    # views
    "ALTER VIEW storekit.event SET (security_invoker = false)":
        "view storekit.event reads as its owner",
    "ALTER VIEW storekit.event RESET (security_invoker)":
        "view storekit.event reads as its owner",
    "CREATE VIEW calls WITH (security_barrier) AS SELECT * FROM tool_calls":
        "view public.calls reads as its owner",
    "CREATE SCHEMA other; CREATE VIEW other.calls AS SELECT * FROM tool_calls":
        "view other.calls reads as its owner",
    "CREATE MATERIALIZED VIEW calls AS SELECT * FROM tool_calls; GRANT SELECT ON calls TO app":
        "materialized view public.calls, to which no policy applies, is granted to app",
    "SET ROLE storekit_reports; CREATE VIEW report.calls AS SELECT * FROM tool_calls;"
    " GRANT SELECT ON report.calls TO storekit_reporter":
        "report report.calls is granted to storekit_reporter",
    # schemas, roles, triggers, settings
    "GRANT CREATE ON SCHEMA public TO PUBLIC": "PUBLIC may create objects in schema public",
    "GRANT CREATE ON SCHEMA storekit TO app": "app may create objects in schema storekit",
    "ALTER ROLE storekit_app BYPASSRLS": "role storekit_app of storekit_app has BYPASSRLS",
    "ALTER ROLE app SUPERUSER": "role app of storekit_app has SUPERUSER",
    "ALTER ROLE app CREATEROLE": "role app of storekit_app has CREATEROLE",
    "GRANT storekit_owner TO worker": "role worker of storekit_worker can SET ROLE storekit_owner",
    "CREATE ROLE between; GRANT storekit_app TO between; GRANT between TO auditor;"
    " ALTER ROLE auditor BYPASSRLS":
        "role auditor of storekit_app has BYPASSRLS",
    "ALTER TABLE tool_calls DISABLE TRIGGER storekit_update":
        "trigger storekit_update of public.tool_calls is disabled",
    "ALTER ROLE app SET storekit.tenant = '018f0000-0000-7000-8000-000000000001'":
        "storekit.tenant of app is set for whole sessions",
    "ALTER ROLE ALL SET session_replication_role = replica":
        "session_replication_role of the database is set for whole sessions",
}  # fmt: skip


def test_the_shipped_schema_has_no_breach(reference: Database) -> None:
    """The shipped schema passes the check, as the login that migrates."""
    with reference.connect("admin") as connection:
        assert breaches(connection) == []


def test_the_embedded_stack_has_no_breach(embedded: Store) -> None:
    """The logins of the embedded stack and tables rendered from classes pass the check too."""
    assert embedded.settings.postgres_admin_url is not None
    with connect(embedded.settings.postgres_admin_url.get_secret_value()) as connection:
        assert breaches(connection) == []


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_breach_is_reported(reference: Database, planted: str) -> None:
    """Each planted hole is reported in a sentence with its object."""
    with psycopg.connect(reference.url("postgres")) as connection:
        connection.execute(planted.encode())
        found = breaches(connection)
        assert any(each.startswith(f"{PLANTED[planted]}; ") for each in found), found
        connection.rollback()


@pytest.mark.parametrize(
    "harmless",
    [
        "CREATE TABLE public.theirs (tenant_id uuid, id int PRIMARY KEY); GRANT ALL ON public.theirs TO app",
        "CREATE FUNCTION public.theirs() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE ROLE keeper SUPERUSER; GRANT storekit_app TO keeper WITH ADMIN OPTION",
        "SET ROLE storekit_reports; CREATE VIEW report.calls AS SELECT * FROM tool_calls",
        "CREATE VIEW public.theirs WITH (security_invoker = on) AS SELECT * FROM tool_calls",
    ],
)
def test_foreign_objects_are_ignored(reference: Database, harmless: str) -> None:
    """Other tables in public, administrators of roles and valid views are not reported."""
    with psycopg.connect(reference.url("postgres")) as connection:
        connection.execute(harmless.encode())
        assert breaches(connection) == []
        connection.rollback()


def test_the_check_needs_the_owner(reference: Database) -> None:
    """A login that cannot become the owner gets an error, because the check runs as the owner."""
    with reference.connect("app") as connection, pytest.raises(ConfigurationError, match="ADMIN_URL"):
        breaches(connection)
