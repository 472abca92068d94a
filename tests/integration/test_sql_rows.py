"""The effect of commit on rows: versions, refs, events and refusals."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from psycopg import Error
from psycopg.errors import InsufficientPrivilege

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import Database
from tests.support.write_api import (
    Api,
    blob_part,
    change_op,
    document_part,
    events,
    insert_op,
    refused,
    uploaded,
)


def save_call(
    api: Api, ref_id: str, op: str = "insert", fields: tuple[str, ...] = ("transcript", "payload")
) -> dict[str, str]:
    """Save a tool call's parts, new or replaced; return the part ids by field."""
    write = new_id()
    parts = [blob_part(ref_id) if field == "transcript" else document_part(ref_id) for field in fields]
    api.stage(write, parts)
    row = {"ref_id": ref_id} | {f"{p['field']}_ref": p["part_id"] for p in parts}
    change = (
        insert_op("tasks", [row | {"name": "x"}], fields)
        if op == "insert"
        else change_op("update", "tasks", row, refs=fields)
    )
    assert api.commit(write, [change], uploaded(*parts))["outcome"] == "committed"
    return {p["field"]: p["part_id"] for p in parts}


def test_versions_increase_by_one(api: Api) -> None:
    """Each change is one version, and the reply contains the versions in the order of the request."""
    ref_ids = sorted((api.insert() for _ in range(3)), reverse=True)
    op = change_op("update", "jobs", *({"ref_id": r, "title": "t"} for r in ref_ids))
    assert api.commit(new_id(), [op])["rows"] == [["jobs", r, 2] for r in ref_ids]


def test_a_conflict_contains_both_versions(api: Api) -> None:
    """A wrong expected version refuses the batch with the expected and the current version."""
    first, second = api.insert(), api.insert()
    rows = [
        {"ref_id": first, "expected_version": 1, "title": "ok"},
        {"ref_id": second, "expected_version": 7, "title": "no"},
    ]
    error = refused(api, change_op("update", "jobs", *rows), "SK409")
    assert error.diag.message_detail is not None
    assert json.loads(error.diag.message_detail) == {
        "entity": "jobs", "ref_id": second, "expected": 7, "found": 1,
    }  # fmt: skip
    assert (
        api.stage(new_id(), targets=[{"entity": "jobs", "ref_id": first, "expected_version": 1}])["outcome"]
        == "staged"
    )


def test_a_missing_row_is_not_found(api: Api) -> None:
    """Updating or deleting a record that the tenant does not have raises an error that names it."""
    for op, row in (("update", {"title": "x"}), ("delete", {})):
        absent = new_ref_id()
        error = refused(api, change_op(op, "jobs", {"ref_id": absent} | row), "SK404")
        assert error.diag.message_detail == f'{{"entity": "jobs", "ref_id": "{absent}"}}'


def test_soft_deleted_rows_can_only_be_restored(database: Database, api: Api) -> None:
    """A soft-deleted row refuses all changes but restore, keeps its parts, and each step is an event."""
    ref_id = new_ref_id()
    save_call(api, ref_id)
    refused(api, change_op("restore", "tasks", {"ref_id": ref_id}), "SK404")
    api.commit(new_id(), [change_op("delete", "tasks", {"ref_id": ref_id})])
    for op, row in (("update", {"name": "y"}), ("delete", {})):
        refused(api, change_op(op, "tasks", {"ref_id": ref_id} | row), "SK404")
    assert api.commit(new_id(), [change_op("restore", "tasks", {"ref_id": ref_id})])["rows"][0][2] == 3
    kinds = [(kind, version) for kind, version, *_ in events(database, ref_id)]
    assert kinds == [("tasks.created", 1), ("tasks.deleted", 2), ("tasks.restored", 3)]
    assert database.ask("SELECT superseded_on FROM storekit.part WHERE ref_id = %s", ref_id) == [
        (None,),
        (None,),
    ]


def test_delete_removes_the_row_and_queues_its_parts(database: Database, api: Api) -> None:
    """Without soft delete the row is deleted, its event contains its values, and its parts are queued."""
    ref_id, write = new_ref_id(), new_id()
    api.stage(write, [part := blob_part(ref_id, table="billing.invoices", field="pdf")])
    op = insert_op(
        "billing.invoices", [{"ref_id": ref_id, "total": "9.90", "pdf_ref": part["part_id"]}], ["pdf"]
    )
    assert api.commit(write, [op], uploaded(part))["rows"] == [["billing.invoices", ref_id, 1]]
    assert (
        api.commit(new_id(), [change_op("delete", "billing.invoices", {"ref_id": ref_id})])["rows"][0][2] == 2
    )
    assert database.ask("SELECT 1 FROM billing.invoices WHERE ref_id = %s", ref_id) == []
    ((kind, version, before, after),) = events(database, ref_id)[1:]
    assert (kind, version, before["total"], after) == ("billing.invoices.deleted", 2, 9.9, None)
    rows = database.ask("SELECT purge_after - superseded_on FROM storekit.part WHERE ref_id = %s", ref_id)
    assert rows == [(timedelta(days=7),)]


def test_replacing_one_part_leaves_the_other(database: Database, api: Api) -> None:
    """A replaced part is queued, the new one is live, and the other ref does not change."""
    ref_id = new_ref_id()
    first = save_call(api, ref_id)
    second = save_call(api, ref_id, "update", ("transcript",))
    assert database.ask("SELECT transcript_ref, payload_ref FROM tasks WHERE ref_id = %s", ref_id) == [
        (UUID(second["transcript"]), UUID(first["payload"]))
    ]
    marked = database.ask(
        "SELECT part_id FROM storekit.part WHERE ref_id = %s AND superseded_on IS NOT NULL", ref_id
    )
    assert marked == [(UUID(first["transcript"]),)]


def test_a_new_document_has_not_expired(database: Database, api: Api) -> None:
    """Setting a document's ref clears its `_expired_on`."""
    ref_id = new_ref_id()
    save_call(api, ref_id)
    database.ask(
        "UPDATE tasks SET payload_ref = NULL, payload_expired_on = now(), tenant_id = tenant_id"
        " FROM set_config('storekit.tenant', %s, true) WHERE ref_id = %s", str(api.tenant), ref_id,
    )  # fmt: skip
    api.commit(new_id(), [change_op("update", "tasks", {"ref_id": ref_id, "name": "still"})])
    query = "SELECT payload_expired_on IS NULL FROM tasks WHERE ref_id = %s"
    assert database.ask(query, ref_id) == [(False,)]
    save_call(api, ref_id, "update", ("payload",))
    assert database.ask(query, ref_id) == [(True,)]


def test_an_update_touches_named_columns_only(database: Database, api: Api) -> None:
    """Columns that are not named keep their values; the event contains only the difference."""
    ref_id = api.insert("tasks", name="x", cost="12345678901234567890.123")
    row = {"ref_id": ref_id, "status": "done"}
    api.commit(new_id(), [change_op("update", "tasks", row)])
    assert database.ask("SELECT name, status, cost FROM tasks WHERE ref_id = %s", ref_id) == [
        ("x", "done", Decimal("12345678901234567890.123"))
    ]
    assert events(database, ref_id)[1] == ("tasks.updated", 2, {"status": "running"}, {"status": "done"})


def test_absent_columns_take_their_defaults(database: Database, api: Api) -> None:
    """A client that does not know a column inserts its default, not NULL."""
    ref_id = api.insert("tasks", name="x")
    assert database.ask("SELECT status, cost FROM tasks WHERE ref_id = %s", ref_id) == [("running", None)]


def test_several_tables_are_one_commit(database: Database, api: Api) -> None:
    """Rows of several tables, parents first, become visible together with the write's id and actor."""
    run = insert_op("jobs", [{"title": "run"}])
    call = insert_op("tasks", [{"name": "x", "run_id": run["rows"][0]["id"]}])
    reply = api.commit(write := new_id(), [run, call])
    assert [row[0] for row in reply["rows"]] == ["jobs", "tasks"]
    events = database.ask("SELECT actor, login FROM storekit.event WHERE write_id = %s", write)
    assert events == [("agent:writer", "app")] * 2


def test_a_ref_without_a_staged_part_is_refused(api: Api) -> None:
    """A commit without parts cannot set a ref, even to a live part of the same tenant."""
    live = save_call(api, ref_id := new_ref_id())
    row = {"ref_id": ref_id, "transcript_ref": live["transcript"]}
    refused(api, change_op("update", "tasks", row, refs=["transcript"]), "SK400", "its rows name 1 parts")


def test_events_of_the_users_sql_have_no_write_id(database: Database, api: Api) -> None:
    """In a unit of work, events of the user's SQL have the actor and tenant but not the write's id."""
    ref_id = api.insert()
    with api.connection.transaction():
        api.commit(new_id(), [change_op("update", "jobs", {"ref_id": ref_id, "title": "by commit"})])
        api.connection.execute("UPDATE jobs SET title = 'by hand' WHERE ref_id = %s", (ref_id,))
    found = database.ask(
        "SELECT actor, write_id IS NULL FROM storekit.event WHERE ref_id = %s ORDER BY id", ref_id
    )
    assert found == [("agent:writer", False), ("agent:writer", False), ("agent:writer", True)]
    left = api.connection.execute("SELECT current_setting('storekit.tenant', true)").fetchone()
    assert left == ("",)


def test_times_in_events_are_utc(database: Database, api: Api) -> None:
    """Events contain times in UTC, whatever the session's time zone."""
    api.connection.execute("SET timezone = 'Asia/Tokyo'")
    ref_id = api.insert("tasks", name="x", at="2026-01-01T00:00:00+09:00")
    assert events(database, ref_id)[0][3]["at"] == "2025-12-31T15:00:00+00:00"


def test_the_app_cannot_hide_a_change(database: Database, api: Api) -> None:
    """Only the owner may mark a temporary value: an update to version -1 by the app has its event."""
    ref_id = api.insert()
    change = "UPDATE jobs SET title = 'x', version = -1 WHERE ref_id = %s"
    with api.connection.transaction():
        api.commit(new_id(), [change_op("update", "jobs", {"ref_id": ref_id, "title": "by commit"})])
        with pytest.raises(InsufficientPrivilege), api.connection.transaction():
            api.connection.execute(change, (ref_id,))
    database.ask("GRANT UPDATE (version) ON jobs TO storekit_app")
    with api.connection.transaction():
        api.commit(new_id(), [change_op("update", "jobs", {"ref_id": ref_id, "title": "again"})])
        api.connection.execute(change, (ref_id,))
    assert [event[3]["title"] for event in events(database, ref_id)[1:]] == ["by commit", "again", "x"]
    assert database.ask("SELECT title, version FROM jobs WHERE ref_id = %s", ref_id) == [("x", 4)]


def test_the_app_cannot_change_without_a_reason(database: Database, api: Api) -> None:
    """If a table requires reasons, an update to version -1 by the app needs one like any other."""
    ref_id = api.insert()
    with database.connect("postgres") as connection, connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL ROLE storekit_owner")
        connection.execute("SELECT storekit.manage('jobs', 'tenant', true)")
        connection.execute("GRANT UPDATE (version) ON jobs TO storekit_app")
        connection.execute("SET LOCAL ROLE storekit_app")
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", (str(api.tenant),))
        with pytest.raises(Error) as error, connection.transaction():
            connection.execute("UPDATE jobs SET title = 'x', version = -1 WHERE ref_id = %s", (ref_id,))
    assert error.value.sqlstate == "SK411"
