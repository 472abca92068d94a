"""No path around the write API, no look across tenants, no dangling ref, no forbidden move."""

from __future__ import annotations

import re
from typing import Any
from uuid import RFC_4122, uuid4

import psycopg
import pytest

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import Database
from tests.support.write_api import Api, blob_part, change_op, insert_op, saved


def by_hand(api: Api, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run the app's own SQL in its tenant."""
    with api.connection.transaction():
        api.connection.execute("SELECT set_config('storekit.tenant', %s, true)", (str(api.tenant),))
        cursor = api.connection.execute(query.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO storekit.write (tenant_id, write_id) SELECT tenant_id, id FROM tasks",
        "UPDATE storekit.write SET state = 'aborted'",
        "UPDATE storekit.part SET state = 'purging'",
        "DELETE FROM storekit.part",
        "INSERT INTO storekit.event_inbox (tenant_id, type) VALUES (gen_random_uuid(), 'x')",
        "DELETE FROM storekit.event_inbox",
        "UPDATE storekit.domain_event SET actor = 'ceo'",
        "TRUNCATE tasks",
        "INSERT INTO storekit.field (table_name, field, kind) VALUES ('tasks', 'x', 'blob')",
        "UPDATE storekit.managed SET mutable = true",
        "SELECT * FROM storekit.domain_event_0001",
        "SELECT * FROM storekit.migration",
        "SELECT storekit.manage('tasks')",
        "SELECT storekit.write_tasks('delete', '{}', '{}', '[]', '{}')",
        "SELECT storekit.abort_pending(gen_random_uuid(), gen_random_uuid(), NULL)",
        "UPDATE tasks SET transcript_ref = NULL",
        "UPDATE tasks SET payload_expired_on = now()",
        "UPDATE tasks SET version = 9",
        "UPDATE tasks SET tenant_id = gen_random_uuid()",
        "UPDATE tasks SET deleted_on = now()",
        "UPDATE tasks SET created_by = 'ceo'",
        "UPDATE readings SET model = 'x'",
        "DELETE FROM readings",
        "INSERT INTO tasks (name, version) VALUES ('x', 9)",
        "INSERT INTO tasks (name, tenant_id) VALUES ('x', gen_random_uuid())",
        "INSERT INTO tasks (name, transcript_ref) VALUES ('x', gen_random_uuid())",
        "ALTER TABLE tasks DISABLE TRIGGER ALL",
        "SET ROLE storekit_owner",
        "SET session_replication_role = replica",
        "CREATE TABLE public.managed ()",
        "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql RETURN '2000-01-01'",
    ],
)
def test_the_app_has_no_way_around_the_write_api(api: Api, query: str) -> None:
    """The ledger, refs, versions and tenants are written by the API alone; anything else is 42501."""
    saved(api)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        by_hand(api, query)


def test_hand_written_sql_goes_through_all_of_it(database: Database, api: Api) -> None:
    """An INSERT, UPDATE and DELETE by hand get tenant, ids, versions and one event each."""
    (ref_id, tenant, created_by) = by_hand(
        api, "INSERT INTO jobs (title) VALUES ('a') RETURNING ref_id, tenant_id, created_by"
    )[0]
    assert (tenant, created_by) == (api.tenant, "app")
    by_hand(api, "UPDATE jobs SET title = 'b' WHERE ref_id = %s", ref_id)
    by_hand(api, "DELETE FROM jobs WHERE ref_id = %s", ref_id)
    told = database.ask(
        "SELECT type, version, actor FROM storekit.event WHERE ref_id = %s ORDER BY id", ref_id
    )
    assert told == [(f"jobs.{verb}", n, "app") for n, verb in enumerate(("created", "updated", "deleted"), 1)]


def test_ids_of_hand_written_rows_are_like_the_sdks(api: Api) -> None:
    """`id` is a uuid7 and `ref_id` a ULID, both of this moment."""
    before = new_ref_id()[:10]
    by_hand(api, "INSERT INTO jobs (title) SELECT 'a' FROM generate_series(1, 200)")
    rows = by_hand(api, "SELECT id, ref_id, storekit.now() FROM jobs")
    assert len(rows) == len({ref_id for _, ref_id, _ in rows}) == 200
    for row_id, ref_id, now in rows:
        assert (row_id.version, row_id.variant) == (7, RFC_4122)
        assert abs((row_id.int >> 80) / 1000 - now.timestamp()) < 60
        assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", ref_id)
        assert before <= ref_id[:10] <= new_ref_id()[:10]


def test_every_form_of_statement_gives_one_event_per_row(database: Database, api: Api) -> None:
    """INSERT ... ON CONFLICT DO UPDATE, MERGE and a skipped row: as many events as changed rows."""
    by_hand(api, "INSERT INTO jobs (title) VALUES ('a'), ('b'), ('c')")
    by_hand(
        api, "MERGE INTO jobs t USING (VALUES ('a'), ('z')) v(title) ON t.title = v.title"
        " WHEN MATCHED THEN UPDATE SET title = 'A' WHEN NOT MATCHED THEN INSERT (title) VALUES (v.title)",
    )  # fmt: skip
    by_hand(api, "UPDATE jobs SET title = title WHERE false")
    counts = database.ask(
        "SELECT type, count(*) FROM storekit.event WHERE tenant_id = %s GROUP BY 1 ORDER BY 1", api.tenant
    )
    assert counts == [("jobs.created", 4), ("jobs.updated", 1)]


def test_tenants_do_not_see_each_other(api: Api) -> None:
    """Rows, ledger and events of a tenant are nobody else's; an unset tenant sees nothing."""
    ref_id, _ = saved(api)
    tables = ("tasks", "storekit.write", "storekit.part", "storekit.event", "storekit.event_inbox")
    assert all(by_hand(api, f"SELECT 1 FROM {table}") for table in tables)
    api.tenant = uuid4()
    assert not any(by_hand(api, f"SELECT 1 FROM {table}") for table in tables)
    assert not any(api.connection.execute(f"SELECT 1 FROM {table}".encode()).fetchall() for table in tables)
    for op, row in (("update", {"name": "mine"}), ("delete", {})):
        with pytest.raises(psycopg.Error) as caught:
            api.commit(new_id(), [change_op(op, "tasks", {"ref_id": ref_id} | row)])
        assert caught.value.sqlstate == "SK404"


def test_a_foreign_write_is_not_there(api: Api) -> None:
    """Renewing, committing and abandoning under another tenant's write id touches nothing of it."""
    write, owner = new_id(), api.tenant
    api.stage(write, [blob_part(new_ref_id())])
    api.tenant = uuid4()
    assert api.renew(write) == {"outcome": "lost"}
    assert api.abandon(write) == {"outcome": "aborted"}
    api.tenant = owner
    assert api.renew(write)["outcome"] == "renewed"


def test_references_stay_inside_the_tenant(api: Api) -> None:
    """A row cannot point at another tenant's row."""
    run = insert_op("jobs", [{"title": "a"}])
    api.commit(new_id(), [run])
    api.tenant = uuid4()
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        api.commit(new_id(), [insert_op("tasks", [{"name": "x", "run_id": run["rows"][0]["id"]}])])


def test_no_reference_by_hand_leaves_the_tenant(api: Api) -> None:
    """Hand-written SQL cannot point at another tenant's row either, new or changed."""
    run = insert_op("jobs", [{"title": "a"}])
    api.commit(new_id(), [run])
    foreign, api.tenant = run["rows"][0]["id"], uuid4()
    own = api.insert("tasks", name="x")
    for query in (
        "INSERT INTO tasks (name, run_id) VALUES ('x', %s)",
        "UPDATE tasks SET run_id = %s WHERE ref_id = %s",
    ):
        values = [foreign, own][: query.count("%s")]
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            by_hand(api, query, *values)


def test_a_shadowed_name_changes_nothing(api: Api) -> None:
    """A temporary table or setting of the session does not reach inside the API."""
    api.connection.execute("CREATE TEMP TABLE managed (entity text, mutable boolean)")
    api.connection.execute("SET search_path = pg_temp, public")
    api.insert("public.jobs", title="x")
    api.connection.execute("SET row_security = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        api.insert("public.jobs", title="x")


def test_worker_and_auditor_see_all_tenants_and_the_app_roles_nothing_more(
    database: Database, api: Api
) -> None:
    """The policies by role are the worker's and the auditor's alone, and only to read."""
    saved(api)
    for login in ("worker", "auditor"):
        assert database.ask("SELECT 1 FROM storekit.part LIMIT 1", login=login)
        assert database.ask("SELECT 1 FROM storekit.event LIMIT 1", login=login)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.ask("UPDATE storekit.part SET legal_hold = false", login=login)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.ask("SELECT 1 FROM tasks", login=login)


def test_a_key_never_changes(database: Database, api: Api) -> None:
    """Even the owner cannot move a row to another id or tenant: SK001."""
    ref_id, _ = saved(api)
    with pytest.raises(psycopg.Error) as caught:
        database.ask("UPDATE tasks SET ref_id = 'x' WHERE ref_id = %s", ref_id)
    assert caught.value.sqlstate == "SK001"


def test_every_object_is_the_owners_and_behind_its_wall(database: Database) -> None:
    """Nothing is a superuser's; definer functions pin their path; tenant tables force their policies."""
    assert database.ask(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'storekit'::regnamespace"
        " AND (proowner <> 'storekit_owner'::regrole OR prosecdef AND"
        " NOT coalesce(proconfig::text LIKE '%search_path=pg_catalog%', false)"
        " OR has_function_privilege('public', oid, 'EXECUTE'))"
    ) == []  # fmt: skip
    assert database.ask(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a"
        " ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
        " WHERE c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
        " OR c.relkind IN ('r', 'p', 'v') AND c.relowner <> 'storekit_owner'::regrole"
    ) == []  # fmt: skip
    assert (
        database.ask(
            "SELECT rolsuper OR rolbypassrls OR rolcanlogin FROM pg_roles WHERE rolname LIKE 'storekit_%'"
        )
        == [(False,)] * 6
    )
