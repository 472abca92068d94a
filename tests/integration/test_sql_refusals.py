"""What commit refuses: rows with undeclared keys, and parts of other rows."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

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


def test_a_refused_operation_rolls_back_the_commit(database: Database, api: Api) -> None:
    """Rows, parts, events and the claim are rolled back."""
    run = insert_op("jobs", [{"title": "run"}])
    stray = insert_op("tasks", [{"name": "x", "run_id": str(new_id())}])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        api.commit(write := new_id(), [run, stray])
    ref_id = run["rows"][0]["ref_id"]
    assert database.ask("SELECT 1 FROM jobs WHERE ref_id = %s", ref_id) == events(database, ref_id) == []
    assert database.ask("SELECT 1 FROM storekit.write WHERE write_id = %s", write) == []


BASE = {"ref_id": new_ref_id(), "id": str(new_id())}


@pytest.mark.parametrize(
    "op",
    [
        insert_op("jobs", [{"title": "a"}]) | {"entity": "pg_catalog.pg_class"},
        insert_op("jobs", [{"title": "a"}]) | {"entity": "storekit.part"},
        insert_op("jobs", [{"title": "a"}]) | {"op": "truncate"},
        insert_op("jobs", [{"title": "a"}]) | {"op": "lock"},
        insert_op("jobs", [{"title": "a"}]) | {"op": None},
        insert_op("jobs", [{"title": "a"}, {"titel": "b"}]),
        insert_op("jobs", [{"title": "a"}, {"title": "b", "note": "c"}]),
        insert_op("jobs", [{"title": "a"}, {}]),
        insert_op("jobs", [{"title": "a", "titel": "b"}]),
        insert_op("jobs", [{"title": "a", "version": 9}]),
        insert_op("jobs", [{"title": "a", "tenant_id": str(new_id())}]),
        insert_op("jobs", [{"title": "a", "created_by": "ceo"}]),
        insert_op("jobs", [BASE | {"title": "a"}, BASE | {"title": "b"}]),
        insert_op("jobs", [{"title": "a", "expected_version": 1}]) | {"columns": ["title"]},
        insert_op("jobs", [{"title": "a", "other_ref": None}], ["other"]),
        insert_op("tasks", [{"name": "a", "payload_expired_on": None}]),
        insert_op("tasks", [{"name": "a", "parts_live": True}]),
        insert_op("tasks", [{"name": "a"}]) | {"columns": ["name", "payload_ref"]},
        change_op("update", "readings", {"ref_id": new_ref_id(), "model": "x"}),
        change_op("delete", "readings", {"ref_id": new_ref_id()}),
        change_op("restore", "jobs", {"ref_id": new_ref_id()}),
        change_op("delete", "jobs", {"ref_id": new_ref_id(), "title": "x"}),
    ],
    ids=["catalog", "ledger", "op", "our op", "no op", "key", "more", "less", "column", "version",
         "tenant", "creator", "twice",
         "expected", "ref", "expired", "live", "raw ref", "append-only update",
         "append-only delete", "no restore", "delete with values"],
)  # fmt: skip
def test_a_malformed_operation_is_refused(
    api: Api, op: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Rows must have exactly the announced keys, which must be fields of the entity."""
    undeclared = {"catalog", "ledger", "column", "version", "tenant", "creator", "ref", "expired", "live"}
    refused(api, op, "SK424" if request.node.callspec.id in undeclared else "SK400")


def commit_with(
    api: Api, parts: list[dict[str, Any]], rows: list[dict[str, Any]], sent: list[dict[str, Any]]
) -> None:
    """Stage parts and commit rows that may not match them."""
    write = new_id()
    api.stage(write, parts)
    with pytest.raises(psycopg.Error, match="its rows name") as caught:
        api.commit(
            write,
            [insert_op("tasks", [{"name": "x"} | r for r in rows], ["transcript", "payload"])],
            sent,
        )
    assert caught.value.sqlstate == "SK400"


def test_rows_and_parts_must_match(api: Api) -> None:
    """A part of another row, field or write, or one named twice, missing or not uploaded, is refused."""
    a, b = new_ref_id(), new_ref_id()
    blob, document, foreign = blob_part(a), document_part(a), blob_part(b)
    api.stage(new_id(), [foreign])
    both = {"ref_id": a, "transcript_ref": blob["part_id"], "payload_ref": document["part_id"]}
    none = {"transcript_ref": None, "payload_ref": None}
    commit_with(api, [x := blob_part(a)], [none | {"ref_id": b, "transcript_ref": x["part_id"]}], uploaded(x))
    commit_with(api, [x := blob_part(a)], [none | {"ref_id": a, "payload_ref": x["part_id"]}], uploaded(x))
    commit_with(api, [x := blob_part(a)], [none | {"ref_id": a}], uploaded(x))
    commit_with(api, [x := blob_part(a)], [none | {"ref_id": a, "transcript_ref": x["part_id"]}], [])
    commit_with(api, [blob, document], [both], uploaded(blob))
    commit_with(
        api,
        [x := blob_part(a), document_part(a)],
        [none | {"ref_id": a, "transcript_ref": x["part_id"]}],
        uploaded(x),
    )
    commit_with(
        api, [x := blob_part(a)], [none | {"ref_id": a, "transcript_ref": x["part_id"]}], uploaded(x, foreign)
    )
    commit_with(
        api,
        [x := blob_part(b)],
        [none | {"ref_id": b, "transcript_ref": foreign["part_id"]}],
        uploaded(foreign),
    )
    commit_with(
        api, [x := blob_part(a)],
        [none | {"ref_id": ref_id, "transcript_ref": x["part_id"]} for ref_id in (a, b)],
        uploaded(x),
    )  # fmt: skip


def test_size_and_hash_can_be_sent_with_the_commit(database: Database, api: Api) -> None:
    """The size and hash of a stream can be sent with the commit, but must be sent."""
    ref_id, write = new_ref_id(), new_id()
    part = blob_part(ref_id) | {"size": None, "sha256": None}
    api.stage(write, [part])
    op = insert_op(
        "tasks", [{"ref_id": ref_id, "name": "x", "transcript_ref": part["part_id"]}], ["transcript"]
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="part_whole"):
        api.commit(write, [op], uploaded(part))
    measured = {"part_id": part["part_id"], "version_id": "v", "size": 7, "sha256": "\\x" + "ab" * 32}
    api.commit(write, [op], [measured])
    found = database.ask(
        "SELECT size, sha256, version_id FROM storekit.part WHERE part_id = %s", part["part_id"]
    )
    assert found == [(7, b"\xab" * 32, "v")]
