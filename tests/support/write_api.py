"""Calls of the SQL write API, and their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import Database


@dataclass
class Api:
    """The write API on one connection, with defaults for arguments that do not matter to a test."""

    connection: psycopg.Connection[Any]
    tenant: UUID = field(default_factory=uuid4)
    actor: str = "agent:writer"

    def call(self, function: str, **values: Any) -> dict[str, Any]:
        """Call one function with named arguments."""
        values = {"p_tenant": self.tenant, "p_actor": self.actor} | values
        named = ", ".join(f"{name} => %({name})s" for name in values)
        row = self.connection.execute(f"SELECT storekit.{function}({named})".encode(), values).fetchone()
        assert row is not None
        reply: dict[str, Any] = row[0]
        return reply

    def stage(
        self,
        write: UUID,
        parts: Sequence[Mapping[str, Any]] = (),
        key: str | None = None,
        request: bytes = b"same",
        lease: str = "60 seconds",
        targets: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """Stage a write with parts."""
        return self.call(
            "stage_v1",
            p_write_id=write,
            p_key=key,
            p_fingerprint=request,
            p_lease=lease,
            p_parts=Jsonb(list(parts)),
            p_targets=Jsonb(list(targets)),
        )

    def commit(
        self,
        write: UUID,
        ops: Sequence[Mapping[str, Any]],
        parts: Sequence[Mapping[str, Any]] = (),
        key: str | None = None,
        request: bytes = b"same",
    ) -> dict[str, Any]:
        """Commit rows and parts."""
        return self.call(
            "commit_v1",
            p_write_id=write,
            p_key=key,
            p_fingerprint=request,
            p_parts=Jsonb(list(parts)),
            p_ops=Jsonb(list(ops)),
        )

    def renew(self, write: UUID, lease: str = "60 seconds") -> dict[str, Any]:
        """Extend the lease of a write."""
        return self.call("renew_v1", p_write_id=write, p_lease=lease)

    def abandon(self, write: UUID) -> dict[str, Any]:
        """Abandon a write."""
        return self.call("abandon_v1", p_write_id=write)

    def insert(self, table: str = "jobs", **columns: Any) -> str:
        """Commit one row without parts and return its ref_id."""
        op = insert_op(table, [columns or {"title": "run"}])
        assert self.commit(new_id(), [op])["outcome"] == "committed"
        ref_id: str = op["rows"][0]["ref_id"]
        return ref_id


def insert_op(table: str, rows: Sequence[Mapping[str, Any]], refs: Sequence[str] = ()) -> dict[str, Any]:
    """Build an insert of rows; missing ids are generated."""
    columns = [c for c in rows[0] if c not in {"id", "ref_id"} and not c.endswith("_ref")]
    filled = [{"id": str(new_id()), "ref_id": new_ref_id(), **row} for row in rows]
    return {"entity": table, "op": "insert", "columns": columns, "refs": list(refs), "rows": filled}


def change_op(op: str, table: str, *rows: Mapping[str, Any], refs: Sequence[str] = ()) -> dict[str, Any]:
    """Build an update, delete or restore."""
    columns = [c for c in rows[0] if c not in {"ref_id", "expected_version"} and not c.endswith("_ref")]
    return {"entity": table, "op": op, "columns": columns, "refs": list(refs), "rows": list(rows)}


def blob_part(
    ref_id: str, content: bytes = b"hi", table: str = "tasks", field: str = "transcript"
) -> dict[str, Any]:
    """Build the part of a blob, as `stage` takes it."""
    return {
        "part_id": str(new_id()),
        "entity": table,
        "ref_id": ref_id,
        "field": field,
        "size": len(content),
        "sha256": "\\x" + sha256(content).hexdigest(),
        "media_type": "text/markdown",
        "filename": "a.md",
    }


def document_part(ref_id: str, **more: Any) -> dict[str, Any]:
    """Build the part of a document, as `stage` takes it."""
    return blob_part(ref_id, field="payload") | {"media_type": "application/json", "filename": None} | more


def uploaded(*parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Build the uploaded parts, as `commit` takes them."""
    return [{"part_id": p["part_id"], "version_id": "v1" if p["field"] != "payload" else None} for p in parts]


def saved(api: Api) -> tuple[str, UUID]:
    """Save a task with a transcript; return its ref_id and the id of the part."""
    write, ref_id = new_id(), new_ref_id()
    api.stage(write, [part := blob_part(ref_id)])
    row = {"ref_id": ref_id, "name": "x", "transcript_ref": part["part_id"]}
    api.commit(write, [insert_op("tasks", [row], ["transcript"])], uploaded(part))
    return ref_id, UUID(part["part_id"])


def refused(api: Api, op: Mapping[str, Any], state: str, match: str | None = None) -> psycopg.Error:
    """Commit one op that must be refused, and check that nothing of it is visible."""
    write = new_id()
    with pytest.raises(psycopg.Error, match=match) as caught:
        api.commit(write, [op])
    assert caught.value.sqlstate == state
    assert api.abandon(write) == {"outcome": "aborted"}
    return caught.value


def states(database: Database, write: UUID) -> list[str]:
    """Return the states of a write and of its parts."""
    rows = database.ask(
        "SELECT state::text FROM storekit.write WHERE write_id = %s"
        " UNION ALL SELECT state::text FROM storekit.part WHERE write_id = %s",
        write, write,
    )  # fmt: skip
    return [state for (state,) in rows]


def events(database: Database, ref_id: str) -> list[tuple[Any, ...]]:
    """Return type, version, before and after of the events of a record, oldest first."""
    return database.ask(
        "SELECT type, version, before, after FROM storekit.event WHERE ref_id = %s ORDER BY id", ref_id
    )
