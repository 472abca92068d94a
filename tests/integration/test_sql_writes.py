"""The outcomes of the write API: claims, leases and idempotency keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import Database
from tests.support.write_api import Api, blob_part, change_op, document_part, insert_op, states, uploaded

LEASE = timedelta(seconds=60)
OLD = UUID(int=(new_id().int & ~(0xFFFF_FFFF_FFFF << 80)) | (1_600_000_000_000 << 80))


def test_stage_records_parts_with_keys_of_the_server(api: Api) -> None:
    """Stage records every part durably and returns keys, expiries and the last time to sign for."""
    write, ref_id = new_id(), new_ref_id()
    blob, document = blob_part(ref_id), document_part(ref_id)
    reply = api.stage(write, [blob, document])
    now, until = (datetime.fromisoformat(reply[k]) for k in ("now", "sign_until"))
    assert reply["outcome"] == "staged"
    assert until - now == LEASE
    assert reply["parts"][blob["part_id"]] == {
        "key": f"{api.tenant}/tasks/{ref_id}/transcript/{blob['part_id']}", "expires_on": None,
    }  # fmt: skip
    assert reply["parts"][document["part_id"]]["key"] == "task_logs"
    expiry = datetime.fromisoformat(reply["parts"][document["part_id"]]["expires_on"])
    assert expiry - now == timedelta(days=90)


def test_stage_is_idempotent(database: Database, api: Api) -> None:
    """Staging a pending write id again returns the first result."""
    write, ref_id = new_id(), new_ref_id()
    first = api.stage(write, [part := blob_part(ref_id)], key="twice")
    again = api.stage(write, [part], key="twice")
    assert again["outcome"] == "staged"
    assert (again["parts"], again["sign_until"]) == (first["parts"], first["sign_until"])


def test_a_document_keeps_an_earlier_expiry(api: Api) -> None:
    """A document that is rewritten for its links keeps its expiry, which cannot exceed the ttl."""
    near, far = (datetime.now(UTC) + timedelta(days=days) for days in (3, 300))
    parts = [document_part(new_ref_id(), expires_on=at.isoformat()) for at in (near, far)]
    reply = api.stage(new_id(), parts)
    kept, cut = (datetime.fromisoformat(reply["parts"][p["part_id"]]["expires_on"]) for p in parts)
    assert kept == near
    assert cut - datetime.fromisoformat(reply["now"]) == timedelta(days=90)


@pytest.mark.parametrize(
    "part",
    [
        blob_part(new_ref_id(), field="name"),
        blob_part(new_ref_id(), table="readings"),
        blob_part(new_ref_id()) | {"expires_on": "2030-01-01T00:00:00Z"},
    ],
    ids=["a column", "another table", "a blob that expires"],
)
def test_stage_uses_declarations_only(api: Api, part: dict[str, object]) -> None:
    """Kind, store, collection and ttl come from the declaration; an undeclared part is refused by name."""
    with pytest.raises(psycopg.Error, match=f"{part['entity']}.{part['field']} is not declared") as caught:
        api.stage(new_id(), [part])
    assert caught.value.sqlstate == "SK424"


def test_stage_names_a_table_that_is_missing(api: Api) -> None:
    """A part of a class whose table was never created is refused with the name of the table."""
    with pytest.raises(psycopg.Error, match="table elsewhere does not exist") as caught:
        api.stage(new_id(), [blob_part(new_ref_id(), table="elsewhere")])
    assert caught.value.sqlstate == "SK424"


def test_a_ref_id_must_be_a_ulid(api: Api) -> None:
    """A ref_id that is not a ULID is refused, so no user input enters an S3 key."""
    with pytest.raises(psycopg.errors.CheckViolation):
        api.stage(new_id(), [blob_part("../../another-tenant/secret")])


def test_commit_makes_rows_and_parts_visible_at_once(database: Database, api: Api) -> None:
    """Commit commits the write and its parts, sets the refs and returns the versions."""
    write, ref_id = new_id(), new_ref_id()
    parts = [blob_part(ref_id), document_part(ref_id)]
    api.stage(write, parts)
    row = {
        "ref_id": ref_id,
        "name": "search",
        "transcript_ref": parts[0]["part_id"],
        "payload_ref": parts[1]["part_id"],
    }
    reply = api.commit(write, [insert_op("public.tasks", [row], ["transcript", "payload"])], uploaded(*parts))
    assert (reply["outcome"], reply["rows"]) == ("committed", [["tasks", ref_id, 1]])
    assert states(database, write) == ["committed"] * 3
    refs = database.ask("SELECT transcript_ref, payload_ref FROM tasks WHERE ref_id = %s", ref_id)
    assert refs == [tuple(UUID(p["part_id"]) for p in parts)]


def test_a_repeated_commit_replays(api: Api) -> None:
    """A write commits once; the same call again returns the first result."""
    write, op = new_id(), insert_op("jobs", [{"title": "once"}])
    first = api.commit(write, [op])
    assert api.commit(write, [op]) == {
        "outcome": "replay",
        "write_id": str(write),
        "result": {"rows": first["rows"]},
    }
    assert api.stage(write)["outcome"] == "replay"


def test_a_late_commit_succeeds_unless_taken_over(database: Database, api: Api) -> None:
    """Commit checks the write's state, not its lease."""
    write, ref_id = new_id(), new_ref_id()
    api.stage(write, [part := blob_part(ref_id)])
    op = insert_op(
        "tasks", [{"ref_id": ref_id, "name": "x", "transcript_ref": part["part_id"]}], ["transcript"]
    )
    with database.later(minutes=10):
        assert api.commit(write, [op], uploaded(part))["outcome"] == "committed"


def test_a_commit_with_unstaged_parts_is_lost(api: Api) -> None:
    """A commit with parts whose write is unknown is lost, and creates no row."""
    ref_id = new_ref_id()
    part = blob_part(ref_id)
    op = insert_op(
        "tasks", [{"ref_id": ref_id, "name": "x", "transcript_ref": part["part_id"]}], ["transcript"]
    )
    assert api.commit(new_id(), [op], uploaded(part)) == {"outcome": "lost"}


def test_old_write_ids_are_lost(api: Api) -> None:
    """An unknown write id of more than a day is lost; abandoning it writes nothing."""
    for reply in (api.stage(OLD), api.commit(OLD, [insert_op("jobs", [{"title": "a"}])])):
        assert reply["outcome"] == "lost"
        assert datetime.fromisoformat(reply["now"])  # the caller compares its clock, which made the id
    assert api.abandon(OLD) == {"outcome": "unknown"}


def test_renew_extends_lease_and_signatures(database: Database, api: Api) -> None:
    """Renewing extends the lease and the last signature time of every part; neither is ever shortened."""
    write = new_id()
    first = api.stage(write, [blob_part(new_ref_id())], key="beat")
    with database.later(seconds=30):
        renewed = api.renew(write)
    assert renewed["outcome"] == "renewed"
    assert datetime.fromisoformat(renewed["sign_until"]) - datetime.fromisoformat(renewed["now"]) == LEASE
    assert api.renew(write, "1 second")["sign_until"] == renewed["sign_until"] > first["sign_until"]
    signed = database.ask("SELECT sign_until FROM storekit.part WHERE write_id = %s", write)
    assert signed == [(datetime.fromisoformat(renewed["sign_until"]),)]


def test_renewals_are_limited(database: Database, api: Api) -> None:
    """A write that is more than a day old is lost to its writer."""
    api.stage(write := new_id())
    with database.later(hours=25):
        assert api.renew(write) == {"outcome": "lost"}


def test_abandon_of_a_committed_write_returns_its_result(api: Api) -> None:
    """A committed write stays committed, and abandon returns its result."""
    rows = api.commit(write := new_id(), [insert_op("jobs", [{"title": "a"}])])["rows"]
    assert api.abandon(write) == {"outcome": "committed", "write_id": str(write), "result": {"rows": rows}}


def test_an_abandoned_write_cannot_commit(api: Api) -> None:
    """A commit that arrives after its write was abandoned is lost, even if the write had no row."""
    assert api.abandon(write := new_id()) == {"outcome": "aborted"}
    assert api.commit(write, [insert_op("jobs", [{"title": "late"}])]) == {"outcome": "lost"}


def test_targets_are_checked_before_the_upload(database: Database, api: Api) -> None:
    """Stage refuses a target that is missing, deleted or has another version, and writes nothing."""
    ref_id = api.insert("tasks", name="x")
    targets = [{"entity": "tasks", "ref_id": ref_id, "expected_version": 1}]
    write = new_id()
    assert api.stage(write, targets=targets)["outcome"] == "staged"
    api.commit(new_id(), [change_op("update", "tasks", {"ref_id": ref_id, "name": "y"})])
    assert api.stage(moved := new_id(), key="t", targets=targets) == {
        "outcome": "conflict", "entity": "tasks", "ref_id": ref_id, "expected": 1, "found": 2,
    }  # fmt: skip
    api.commit(new_id(), [change_op("delete", "tasks", {"ref_id": ref_id})])
    free = [{"entity": "public.tasks", "ref_id": ref_id, "expected_version": None}]
    missing = {"outcome": "missing", "entity": "tasks", "ref_id": ref_id}
    assert api.stage(moved, key="t", targets=free) == missing
    assert states(database, moved) == []


def test_tenant_and_actor_are_required(api: Api) -> None:
    """A call without tenant or actor is refused, and a transaction belongs to one tenant."""
    for tenant, actor in ((None, "a"), (uuid4(), ""), (uuid4(), None)):
        with pytest.raises(psycopg.Error) as caught:
            api.call("abandon_v1", p_tenant=tenant, p_actor=actor, p_write_id=new_id())
        assert caught.value.sqlstate == "SK400"
    api.connection.execute("BEGIN")
    api.abandon(new_id())
    api.tenant = uuid4()
    with pytest.raises(psycopg.Error, match="belongs to another tenant") as caught:
        api.abandon(new_id())
    assert caught.value.sqlstate == "SK004"


@pytest.mark.parametrize("lease", ["0 seconds", "-1 second", "2 days", None])
def test_a_lease_is_short_and_positive(api: Api, lease: str) -> None:
    """A lease of zero or of more than a day is refused."""
    for call in (api.stage, api.renew):
        with pytest.raises(psycopg.Error, match="not between 1 ms and 1 day") as caught:
            call(new_id(), lease=lease)
        assert caught.value.sqlstate == "SK400"
