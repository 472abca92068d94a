"""The isolation check names what stands above the policies: roles, the cluster, changed objects."""

from __future__ import annotations

import psycopg
import pytest

from storekit.drivers.postgres.admin.isolation import breaches
from tests.support.postgres import Database

MALLORY = "CREATE ROLE mallory LOGIN"
PLANTED = {
    # members and administrators of the roles
    f"{MALLORY} BYPASSRLS; GRANT storekit_app TO mallory WITH ADMIN OPTION": (
        "role mallory may grant storekit_app to others (ADMIN OPTION)",
        "REVOKE ADMIN OPTION FOR storekit_app FROM mallory",
    ),
    f"{MALLORY} BYPASSRLS; GRANT storekit_worker TO mallory WITH ADMIN OPTION": (
        "role mallory of storekit_worker has BYPASSRLS",
        "ALTER ROLE mallory NOBYPASSRLS",
    ),
    f"{MALLORY}; GRANT storekit_owner TO mallory WITH ADMIN OPTION": (
        "role mallory may grant storekit_owner to others (ADMIN OPTION)",
        "REVOKE ADMIN OPTION FOR storekit_owner FROM mallory",
    ),
    f"{MALLORY}; GRANT pg_read_all_data TO mallory": (
        "login mallory is a member of pg_read_all_data",
        "REVOKE pg_read_all_data FROM mallory",
    ),
    "GRANT pg_write_all_data TO app": (
        "login app is a member of pg_write_all_data",
        "REVOKE pg_write_all_data FROM app",
    ),
    f"{MALLORY}; CREATE ROLE between; GRANT pg_execute_server_program TO between; GRANT between TO mallory": (
        "login mallory is a member of pg_execute_server_program",
        "REVOKE pg_execute_server_program FROM mallory",
    ),
    "GRANT storekit_worker TO app": (
        "login app is a member of storekit_app and storekit_worker",
        "REVOKE storekit_worker FROM app",
    ),
    "GRANT storekit_auditor TO app": (
        "login app is a member of storekit_app and storekit_auditor",
        "REVOKE",
    ),
    f"{MALLORY}; GRANT storekit_owner TO mallory": (
        "role mallory is a member of storekit_owner, which owns all tables",
        "REVOKE storekit_owner FROM mallory",
    ),
    f"{MALLORY}; CREATE ROLE between; GRANT storekit_reports TO between; GRANT between TO mallory": (
        "role mallory is a member of storekit_reports, which owns all tables",
        "REVOKE storekit_reports FROM mallory",
    ),
    "ALTER ROLE storekit_owner LOGIN": (
        "role storekit_owner can log in",
        "ALTER ROLE storekit_owner NOLOGIN",
    ),
    "ALTER ROLE storekit_app LOGIN": ("role storekit_app can log in", "ALTER ROLE storekit_app NOLOGIN"),
    "ALTER ROLE storekit_reports BYPASSRLS": (
        "role storekit_reports has BYPASSRLS",
        "ALTER ROLE storekit_reports NOBYPASSRLS",
    ),
    "ALTER ROLE app REPLICATION": (
        "role app of storekit_app has REPLICATION",
        "ALTER ROLE app NOREPLICATION",
    ),
    f"{MALLORY} REPLICATION": (
        "login mallory has REPLICATION, with which it can copy the whole cluster",
        "ALTER ROLE mallory NOREPLICATION",
    ),
    # grants to outsiders
    f"{MALLORY}; GRANT CREATE ON SCHEMA storekit TO mallory": (
        "mallory may create objects in schema storekit",
        "REVOKE CREATE ON SCHEMA storekit FROM mallory",
    ),
    f"{MALLORY}; GRANT CREATE ON SCHEMA public TO mallory": (
        "mallory may create objects in schema public",
        "REVOKE CREATE ON SCHEMA public FROM mallory",
    ),
    f"{MALLORY}; GRANT USAGE ON SCHEMA storekit TO mallory": (
        "mallory may USAGE storekit, which no migration grants",
        "REVOKE USAGE ON SCHEMA storekit FROM mallory",
    ),
    f"{MALLORY}; GRANT SELECT ON storekit.part TO mallory": (
        "mallory may SELECT storekit.part, which no migration grants",
        "REVOKE SELECT ON storekit.part FROM mallory",
    ),
    f"{MALLORY}; GRANT SELECT (sha256) ON storekit.part TO mallory": (
        "mallory may SELECT (sha256) storekit.part, which no migration grants",
        "REVOKE SELECT (sha256) ON storekit.part FROM mallory",
    ),
    "GRANT SELECT ON storekit.part TO storekit_app WITH GRANT OPTION": (
        "storekit_app may SELECT storekit.part WITH GRANT OPTION, which no migration grants",
        "REVOKE SELECT",
    ),
    f"{MALLORY}; GRANT SELECT ON tool_calls TO mallory": (
        "mallory may SELECT public.tool_calls and is not a role of storekit",
        "REVOKE SELECT ON public.tool_calls FROM mallory",
    ),
    f"{MALLORY}; GRANT UPDATE (name) ON tool_calls TO mallory": (
        "mallory may UPDATE public.tool_calls and is not a role of storekit",
        "REVOKE UPDATE",
    ),
    f"{MALLORY}; GRANT EXECUTE ON FUNCTION storekit.commit_v1 TO mallory": (
        "mallory may EXECUTE storekit.commit_v1(uuid,text,uuid,text,bytea,jsonb,jsonb,text,jsonb), which no"
        " migration grants",
        "REVOKE EXECUTE ON FUNCTION storekit.commit_v1(uuid,text,uuid,text,bytea,jsonb,jsonb,text,jsonb)"
        " FROM mallory",
    ),
    "GRANT EXECUTE ON FUNCTION storekit.write_tool_calls TO storekit_app": (
        "storekit_app may execute storekit.write_tool_calls(text,text[],text[],jsonb,text[]), "
        "which only the commit may call",
        "REVOKE EXECUTE ON FUNCTION storekit.write_tool_calls(text,text[],text[],jsonb,text[]) FROM"
        " storekit_app",
    ),
    "REVOKE EXECUTE ON FUNCTION storekit.lookup_v1 FROM storekit_app": (
        "storekit_app may not EXECUTE storekit.lookup_v1(text,text)",
        "GRANT EXECUTE ON FUNCTION storekit.lookup_v1(text,text) TO storekit_app",
    ),
    f"{MALLORY}; ALTER DEFAULT PRIVILEGES FOR ROLE storekit_owner GRANT SELECT ON TABLES TO mallory": (
        "default privileges of storekit_owner grant SELECT on new tables to mallory",
        "ALTER DEFAULT PRIVILEGES FOR ROLE storekit_owner REVOKE SELECT ON TABLES FROM mallory",
    ),
    "ALTER DEFAULT PRIVILEGES FOR ROLE storekit_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC": (
        "new functions of storekit_owner may be executed by PUBLIC",
        "ALTER DEFAULT PRIVILEGES FOR ROLE storekit_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ),
    # functions
    "CREATE FUNCTION public.lower(x text) RETURNS text LANGUAGE sql RETURN x": (
        "function public.lower(text) has the name of a function of Postgres, which it can replace",
        "DROP FUNCTION public.lower(text)",
    ),
    "CREATE FUNCTION public.same(varchar, text) RETURNS bool LANGUAGE sql RETURN true;"
    " CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = varchar, RIGHTARG = text)": (
        "operator public.=(character varying,text) has the name of an operator of Postgres",
        "DROP OPERATOR",
    ),
    "CREATE OR REPLACE FUNCTION storekit.now() RETURNS timestamptz LANGUAGE sql STABLE"
    " RETURN transaction_timestamp() + interval '1 hour'": (
        "function storekit.now differs from the migrations of storekit: it does not have: "
        "RETURN transaction_timestamp();",
        "as storekit_owner, run its statements from schemas/postgres/mirror/storekit/functions/now.sql",
    ),
    "CREATE OR REPLACE FUNCTION storekit.current_tenant() RETURNS uuid LANGUAGE sql STABLE"
    " RETURN '018f0000-0000-7000-8000-000000000001'::uuid": (
        "function storekit.current_tenant differs from the migrations of storekit",
        "as storekit_owner, run",
    ),
    "ALTER FUNCTION storekit.stage_v1 SET timezone = 'Asia/Tokyo'": (
        "function storekit.stage_v1 differs from the migrations of storekit",
        "as storekit_owner, run",
    ),
    "ALTER FUNCTION storekit.stage_v1 SECURITY INVOKER": (
        "function storekit.stage_v1 differs from the migrations of storekit",
        "as storekit_owner, run",
    ),
    "CREATE OR REPLACE FUNCTION storekit.write_tool_calls(p_op text, p_columns text[], p_refs text[],"
    " p_rows jsonb,"
    " p_ref_ids text[]) RETURNS jsonb LANGUAGE sql RETURN '{}'::jsonb": (
        "function storekit.write_tool_calls is not the one that storekit.manage() created",
        "SELECT storekit.manage('tool_calls')",
    ),
    "SET ROLE storekit_owner; CREATE FUNCTION storekit.more() RETURNS int LANGUAGE sql RETURN 1": (
        "function storekit.more was not created by a migration of storekit",
        "drop it",
    ),
    "CREATE ROLE outsider; GRANT CREATE ON SCHEMA public TO outsider; SET ROLE outsider; CREATE"
    " FUNCTION public.f()"
    " RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp RETURN 1": (
        "function public.f() runs as outsider, which is not a role of storekit",
        "DROP FUNCTION public.f()",
    ),
    # tables
    "DROP TRIGGER storekit_update ON tool_calls": (
        "trigger storekit_update of public.tool_calls is missing",
        "SELECT storekit.manage('public.tool_calls')",
    ),
    "DROP TRIGGER storekit_append_only ON contracts": (
        "trigger storekit_append_only of public.contracts is missing",
        "SELECT storekit.manage('public.contracts')",
    ),
    "SET ROLE storekit_owner; SELECT storekit.manage('tool_calls', 'tenant', true);"
    " DROP TRIGGER storekit_reason ON tool_calls": (
        "trigger storekit_reason of public.tool_calls is missing",
        "SELECT storekit.manage('public.tool_calls')",
    ),
    "DROP TRIGGER storekit_move ON tool_calls": (
        "trigger storekit_move of public.tool_calls is missing",
        "SELECT",
    ),
    "CREATE OR REPLACE TRIGGER storekit_touch BEFORE UPDATE ON tool_calls FOR EACH ROW WHEN (false)"
    " EXECUTE FUNCTION storekit.touch('t')": (
        "trigger storekit_touch of public.tool_calls is not the one that storekit.manage() created",
        "SELECT",
    ),
    "ALTER TABLE tool_calls DISABLE TRIGGER ALL": (
        "trigger storekit_insert of public.tool_calls is disabled",
        "ALTER",
    ),
    "ALTER TABLE tool_calls DROP CONSTRAINT payload_ref_live": (
        "table public.tool_calls has no foreign key payload_ref_live",
        "ALTER TABLE public.tool_calls",
    ),
    "ALTER TABLE tenants DROP CONSTRAINT storekit_scope": (
        "table public.tenants of scope self has no check",
        "SELECT storekit.manage('public.tenants')",
    ),
    "ALTER TABLE storekit.part DROP CONSTRAINT part_whole": (
        "table storekit.part differs from the migrations of storekit: it does not have: "
        "CONSTRAINT part_whole",
        "as storekit_owner, run",
    ),
    "DROP TRIGGER part_moves ON storekit.part": (
        "table storekit.part differs from the migrations of storekit",
        "as storekit_owner, run",
    ),
    "DROP INDEX storekit.write_key": (
        "table storekit.write differs from the migrations",
        "as storekit_owner, run",
    ),
    "DROP POLICY tenant ON storekit.write": (
        "table storekit.write differs from the migrations of storekit",
        "as storekit_owner, run",
    ),
    "CREATE POLICY more ON tool_calls FOR SELECT TO storekit_worker USING (true)": (
        "policy more of public.tool_calls is not limited to the tenant: true",
        "DROP POLICY more ON public.tool_calls",
    ),
    "CREATE ROLE outsider; GRANT CREATE ON SCHEMA public TO outsider; SET ROLE outsider; CREATE"
    " FUNCTION public.f()"
    " RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$; RESET ROLE; CREATE TRIGGER mine"
    " BEFORE INSERT"
    " ON tool_calls FOR EACH ROW EXECUTE FUNCTION public.f()": (
        "trigger mine of public.tool_calls runs public.f(), which belongs to outsider",
        "DROP TRIGGER mine ON public.tool_calls",
    ),
    "CREATE RULE quiet AS ON DELETE TO tool_calls DO INSTEAD NOTHING": (
        "rule quiet of public.tool_calls rewrites statements",
        "DROP RULE quiet ON public.tool_calls",
    ),
    "CREATE ROLE outsider; CREATE VIEW public.calls WITH (security_invoker = false) AS SELECT * FROM"
    " tool_calls;"
    " ALTER VIEW public.calls OWNER TO outsider": (
        "view public.calls reads as its owner",
        "ALTER VIEW public.calls SET (security_invoker = true)",
    ),
    # the cluster
    "CREATE PUBLICATION everything FOR ALL TABLES": (
        "publication everything sends the rows of all tenants: it is FOR ALL TABLES",
        "DROP PUBLICATION everything",
    ),
    "CREATE PUBLICATION one FOR TABLE tool_calls": (
        "publication one sends the rows of all tenants of public.tool_calls",
        "DROP PUBLICATION one",
    ),
    "CREATE PUBLICATION schemas FOR TABLES IN SCHEMA storekit": (
        "publication schemas sends the rows of all tenants of storekit.cursor",
        "DROP PUBLICATION schemas",
    ),
    "CREATE SUBSCRIPTION feed CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE)": (
        "subscription feed writes rows without triggers and policies",
        "DROP SUBSCRIPTION feed",
    ),
    "CREATE FUNCTION public.spy() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;"
    " CREATE EVENT TRIGGER spy ON ddl_command_end EXECUTE FUNCTION public.spy()": (
        "event trigger spy runs public.spy() at each ddl_command_end",
        "DROP EVENT TRIGGER spy",
    ),
    "DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO PUBLIC', current_database()); END $$": (
        "PUBLIC may connect to the database ",
        "GRANT CONNECT ON DATABASE",
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_breach_is_named_with_its_remedy(reference: Database, planted: str) -> None:
    """Each planted hole is reported with its object, who gains by it, and the statement that closes it."""
    fact, remedy = PLANTED[planted]
    with psycopg.connect(reference.url("postgres")) as connection:
        connection.execute(planted.encode())
        connection.execute("SET ROLE admin")  # the check runs as the login that migrates
        found = breaches(connection)
        connection.rollback()
    assert any(each.startswith(fact) and remedy in each.removeprefix(fact) for each in found), found


def test_a_table_that_requires_reasons_is_no_breach(reference: Database) -> None:
    """The check knows the trigger that `reason_required` creates."""
    with psycopg.connect(reference.url("postgres")) as connection:
        connection.execute("SET ROLE storekit_owner")
        connection.execute("SELECT storekit.manage('tool_calls', 'tenant', true)")
        connection.execute("SET ROLE admin")
        assert breaches(connection) == []
        connection.rollback()


def test_the_check_changes_nothing(reference: Database) -> None:
    """The check composes the writers of tables to compare them, and leaves the catalog as it was."""
    state = "SELECT xmin::text, oid FROM pg_proc WHERE pronamespace = 'storekit'::regnamespace ORDER BY oid"
    before = reference.ask(state)
    with reference.connect("admin") as connection:
        assert breaches(connection) == []
    assert reference.ask(state) == before
