"""Leases and idempotency keys of the write API: the memory ledger behaves like Postgres."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from storekit import Store, UsageError
from storekit.bridge import run
from storekit.drivers.postgres.ledger import PostgresLedger
from storekit.ids import new_id, new_ref_id
from storekit.ports.statements import Call
from storekit.ports.stores import Ledger
from storekit.testing import Memory
from tests.support.entities import ENTITIES, Note

MINUTE = timedelta(minutes=1)
DIGEST = "\\x" + "ab" * 32


@dataclass
class LedgerClient:
    """A ledger with its clock and a tenant."""

    ledger: Ledger
    move_clock: Callable[[timedelta], None]
    tenant: UUID = field(default_factory=uuid4)

    def ask(self, function: str, write_id: UUID, **arguments: Any) -> dict[str, Any]:
        who = {"p_tenant": self.tenant, "p_actor": "tester", "p_write_id": write_id}
        (reply,) = run(self.ledger.pipeline(self.tenant, "tester", [Call(function, {**who, **arguments})]))
        return dict(reply)

    def stage(self, write: Write, lease: timedelta = MINUTE) -> dict[str, Any]:
        announced = {"part_id": str(write.part_id), "entity": "notes", "ref_id": write.ref_id}
        part = {**announced, "field": "content", "size": 1, "sha256": DIGEST, "media_type": "text/plain"}
        return self.ask(
            "stage_v1",
            write.write_id,
            **write.claim,
            p_lease=lease,
            p_parts=[{**part, "filename": None, "expires_on": None}],
            p_targets=[],
        )

    def commit(self, write: Write) -> dict[str, Any]:
        row = {
            "ref_id": write.ref_id,
            "id": str(write.id),
            "title": "t",
            "content_ref": str(write.part_id),
        }
        return self.ask(
            "commit_v1",
            write.write_id,
            **write.claim,
            p_parts=[{"part_id": str(write.part_id), "version_id": "v1"}],
            p_ops=[
                {"entity": "notes", "op": "insert", "columns": ["title"], "refs": ["content"], "rows": [row]}
            ],
        )

    def renew(self, write: Write, lease: timedelta) -> dict[str, Any]:
        return self.ask("renew_v1", write.write_id, p_lease=lease)

    def abandon(self, write: Write) -> dict[str, Any]:
        return self.ask("abandon_v1", write.write_id)


@dataclass
class Write:
    """One write of one note."""

    key: str | None = "k"
    fingerprint: bytes = b"f"
    write_id: UUID = field(default_factory=new_id)
    part_id: UUID = field(default_factory=new_id)
    id: UUID = field(default_factory=new_id)
    ref_id: str = field(default_factory=new_ref_id)

    @property
    def claim(self) -> dict[str, Any]:
        return {"p_key": self.key, "p_fingerprint": self.fingerprint}


@pytest.fixture(params=["servers", "memory"])
def leg(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(leg: str, request: pytest.FixtureRequest) -> Iterator[LedgerClient]:
    if leg == "memory":
        memory = Memory()
        memory.declare(*ENTITIES)
        yield LedgerClient(memory.drivers["ledger"], memory.move_clock)
        return
    embedded: Store = request.getfixturevalue("embedded")
    ledger = PostgresLedger(embedded.settings)
    yield LedgerClient(ledger, request.getfixturevalue("embedded_clock"))
    run(ledger.close())


def test_a_staged_write_commits(client: LedgerClient) -> None:
    """stage returns the lease and the S3 key of the part; commit returns the row with its version."""
    write = Write()
    staged = client.stage(write)
    key = f"{client.tenant}/notes/{write.ref_id}/content/{write.part_id}"
    assert staged["parts"] == {str(write.part_id): {"key": key, "expires_on": None}}
    granted = datetime.fromisoformat(staged["sign_until"]) - datetime.fromisoformat(staged["now"])
    assert (staged["outcome"], granted) == ("staged", MINUTE)
    done = client.commit(write)
    assert (done["outcome"], done["rows"]) == ("committed", [["notes", write.ref_id, 1]])


def test_calls_may_be_repeated(client: LedgerClient) -> None:
    """Repeated calls of stage and commit return the same; after the commit both return the row."""
    write = Write()
    assert client.stage(write)["parts"] == client.stage(write)["parts"]
    rows = client.commit(write)["rows"]
    for again in (client.commit(write), client.stage(write)):
        assert (again["outcome"], again["write_id"]) == ("replay", str(write.write_id))
        assert again["result"] == {"rows": rows}


def test_a_key_is_held_while_the_lease_runs(client: LedgerClient) -> None:
    """Another write with the key gets the rest of the holder's lease, and commits nothing."""
    holder, other = Write(), Write()
    client.stage(holder)
    reply = client.stage(other)
    assert reply["outcome"] == "held"
    assert 0 < reply["lease_left"] <= 60
    assert client.commit(other) == {"outcome": "lost"}
    assert client.commit(holder)["outcome"] == "committed"


def test_a_key_belongs_to_one_request(client: LedgerClient) -> None:
    """A key with another fingerprint is a mismatch, whether its write is pending or committed."""
    holder = Write()
    client.stage(holder)
    assert client.stage(Write(fingerprint=b"other")) == {"outcome": "mismatch"}
    client.commit(holder)
    assert client.stage(Write(fingerprint=b"other")) == {"outcome": "mismatch"}


def test_a_key_is_taken_over_after_the_lease(client: LedgerClient) -> None:
    """After the lease another write takes the key over, and the first write cannot commit any more."""
    late, next_one = Write(), Write()
    client.stage(late)
    client.move_clock(2 * MINUTE)
    assert client.stage(next_one)["outcome"] == "staged"
    for reply in (client.commit(late), client.renew(late, MINUTE), client.stage(late)):
        assert reply == {"outcome": "lost"}
    assert client.abandon(late) == {"outcome": "aborted"}
    assert client.commit(next_one)["outcome"] == "committed"


def test_a_commit_after_the_lease_succeeds(client: LedgerClient) -> None:
    """A commit after the end of its lease succeeds if no other write has taken the key over."""
    write = Write()
    client.stage(write)
    client.move_clock(5 * MINUTE)
    assert client.commit(write)["outcome"] == "committed"


def test_a_renewal_never_shortens_the_lease(client: LedgerClient) -> None:
    """renew extends the lease by the server's clock; a shorter lease has no effect."""
    write = Write()
    staged = client.stage(write, 10 * MINUTE)
    shorter = client.renew(write, MINUTE)
    assert (shorter["outcome"], shorter["sign_until"]) == ("renewed", staged["sign_until"])
    longer = client.renew(write, 20 * MINUTE)
    assert longer["sign_until"] > staged["sign_until"]


def test_a_write_is_renewed_for_a_day_at_most(client: LedgerClient) -> None:
    """A write older than 24 hours cannot be renewed, so no key is held forever."""
    write = Write()
    client.stage(write)
    client.move_clock(timedelta(hours=25))
    assert client.renew(write, MINUTE) == {"outcome": "lost"}


def test_abandon_returns_the_final_state(client: LedgerClient) -> None:
    """abandon ends a pending write, reports a committed one, and prevents a write that never began."""
    pending, committed, unknown = Write(), Write(key="other"), Write(key="third")
    client.stage(pending)
    client.stage(committed)
    client.commit(committed)
    assert client.abandon(pending) == {"outcome": "aborted"}
    assert client.stage(Write())["outcome"] == "staged"
    reply = client.abandon(committed)
    assert (reply["outcome"], reply["result"]["rows"]) == ("committed", [["notes", committed.ref_id, 1]])
    assert client.abandon(unknown) == {"outcome": "aborted"}
    assert client.stage(unknown) == {"outcome": "lost"}


def test_a_write_with_an_old_id_is_refused(client: LedgerClient) -> None:
    """A write whose id is more than a day old stages nothing, and its outcome is unknown."""
    write = Write()
    client.move_clock(timedelta(hours=25))
    reply = client.stage(write)
    assert (reply["outcome"], {*reply}) == ("lost", {"outcome", "now"})
    assert client.abandon(write) == {"outcome": "unknown"}


def test_rows_and_parts_must_match(client: LedgerClient) -> None:
    """A commit whose rows and parts do not refer to each other one to one is refused as a whole."""
    write = Write()
    client.stage(write)
    other = Write(write_id=write.write_id, part_id=new_id())
    with pytest.raises(UsageError):
        client.commit(other)
    assert client.commit(write)["outcome"] == "committed"


@pytest.mark.parametrize("lease", [timedelta(0), timedelta(days=2)])
def test_a_lease_is_from_1_ms_to_1_day(client: LedgerClient, lease: timedelta) -> None:
    """A lease outside 1 ms to 1 day is refused."""
    with pytest.raises(UsageError):
        client.stage(Write(), lease)


def test_the_rows_have_the_columns_and_parts_of_the_class() -> None:
    """The tests above write the columns and parts of Note."""
    assert Note.storekit_table.columns.keys() | Note.storekit_table.parts.keys() == {"title", "content"}
