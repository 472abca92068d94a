"""Tenant isolation: no way around the write API, no access across tenants, no dangling ref."""

from __future__ import annotations

import re
from typing import Any
from uuid import RFC_4122, uuid4

import psycopg
import pytest

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import Database
from tests.support.write_api import Api, blob_part, change_op, insert_op, refused, saved


def by_hand(api: Api, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run SQL as the app in its tenant."""
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
def test_the_ledger_is_written_by_the_api_only(api: Api, query: str) -> None:
    """The app cannot write the ledger, refs, versions or tenants directly: 42501."""
    saved(api)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        by_hand(api, query)


def test_hand_written_sql_gets_ids_versions_and_events(database: Database, api: Api) -> None:
    """An INSERT, UPDATE or DELETE of the user sets tenant, ids and versions, and records one event."""
    (ref_id, tenant, created_by) = by_hand(
        api, "INSERT INTO jobs (title) VALUES ('a') RETURNING ref_id, tenant_id, created_by"
    )[0]
    assert (tenant, created_by) == (api.tenant, "app")
    by_hand(api, "UPDATE jobs SET title = 'b' WHERE ref_id = %s", ref_id)
    by_hand(api, "DELETE FROM jobs WHERE ref_id = %s", ref_id)
    events = database.ask(
        "SELECT type, version, actor FROM storekit.event WHERE ref_id = %s ORDER BY id", ref_id
    )
    assert events == [
        (f"jobs.{verb}", n, "app") for n, verb in enumerate(("created", "updated", "deleted"), 1)
    ]


def test_ids_of_hand_written_rows_are_like_the_sdks(api: Api) -> None:
    """The default of `id` is a uuid7 and that of `ref_id` a ULID, both with the current time."""
    before = new_ref_id()[:10]
    by_hand(api, "INSERT INTO jobs (title) SELECT 'a' FROM generate_series(1, 200)")
    rows = by_hand(api, "SELECT id, ref_id, storekit.now() FROM jobs")
    assert len(rows) == len({ref_id for _, ref_id, _ in rows}) == 200
    for row_id, ref_id, now in rows:
        assert (row_id.version, row_id.variant) == (7, RFC_4122)
        assert abs((row_id.int >> 80) / 1000 - now.timestamp()) < 60
        assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", ref_id)
        assert before <= ref_id[:10] <= new_ref_id()[:10]


def test_every_kind_of_statement_records_one_event_per_row(database: Database, api: Api) -> None:
    """ON CONFLICT DO UPDATE, MERGE and skipped rows record as many events as rows changed."""
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
    """Rows, ledger and events of a tenant are invisible to others; without a tenant nothing is visible."""
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


def test_a_write_of_another_tenant_is_unknown(api: Api) -> None:
    """Renewing, committing or abandoning another tenant's write id does not affect that write."""
    write, owner = new_id(), api.tenant
    api.stage(write, [blob_part(new_ref_id())])
    api.tenant = uuid4()
    assert api.renew(write) == {"outcome": "lost"}
    assert api.abandon(write) == {"outcome": "aborted"}
    api.tenant = owner
    assert api.renew(write)["outcome"] == "renewed"


def test_references_stay_inside_the_tenant(api: Api) -> None:
    """A row cannot refer to another tenant's row."""
    run = insert_op("jobs", [{"title": "a"}])
    api.commit(new_id(), [run])
    api.tenant = uuid4()
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        api.commit(new_id(), [insert_op("tasks", [{"name": "x", "run_id": run["rows"][0]["id"]}])])


def test_references_in_hand_written_sql_stay_inside_the_tenant(api: Api) -> None:
    """SQL of the user cannot refer to another tenant's row either, on insert or update."""
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


def test_shadowed_names_have_no_effect(api: Api) -> None:
    """Temporary tables and settings of the session do not affect the API; tenants stay isolated."""
    api.connection.execute("CREATE TEMP TABLE managed (entity text, mutable boolean)")
    api.connection.execute("SET search_path = pg_temp, public")
    api.insert("public.jobs", title="x")
    api.connection.execute("SET row_security = off")
    ref_id = api.insert("public.jobs", title="x")
    api.tenant = uuid4()
    refused(api, change_op("update", "jobs", {"ref_id": ref_id, "title": "y"}), "SK404")


def test_worker_and_auditor_can_read_all_tenants(database: Database, api: Api) -> None:
    """The policies by role apply to the worker and the auditor only, and only allow reading."""
    saved(api)
    for login in ("worker", "auditor"):
        assert database.ask("SELECT 1 FROM storekit.part LIMIT 1", login=login)
        assert database.ask("SELECT 1 FROM storekit.event LIMIT 1", login=login)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.ask("UPDATE storekit.part SET legal_hold = false", login=login)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.ask("SELECT 1 FROM tasks", login=login)


def test_ids_and_tenants_cannot_change(database: Database, api: Api) -> None:
    """Even the owner cannot change the id or tenant of a row: SK001."""
    ref_id, _ = saved(api)
    with pytest.raises(psycopg.Error) as caught:
        database.ask("UPDATE tasks SET ref_id = 'x' WHERE ref_id = %s", ref_id)
    assert caught.value.sqlstate == "SK001"


def test_objects_belong_to_the_owner(database: Database) -> None:
    """No object belongs to a superuser; definer functions pin their path; tables force their policies."""
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
