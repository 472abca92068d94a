"""The write API's rule of claims and leases: the ledger in memory answers as Postgres does."""

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
class Desk:
    """A ledger, its clock and a tenant."""

    ledger: Ledger
    move_clock: Callable[[timedelta], None]
    tenant: UUID = field(default_factory=uuid4)

    def ask(self, function: str, write_id: UUID, **arguments: Any) -> dict[str, Any]:
        who = {"p_tenant": self.tenant, "p_actor": "tester", "p_write_id": write_id}
        (reply,) = run(self.ledger.pipeline(self.tenant, "tester", [Call(function, {**who, **arguments})]))
        return dict(reply)

    def stage(self, attempt: Attempt, lease: timedelta = MINUTE) -> dict[str, Any]:
        announced = {"part_id": str(attempt.part_id), "entity": "notes", "ref_id": attempt.ref_id}
        part = {**announced, "field": "content", "size": 1, "sha256": DIGEST, "media_type": "text/plain"}
        return self.ask(
            "stage_v1",
            attempt.write_id,
            **attempt.claim,
            p_lease=lease,
            p_parts=[{**part, "filename": None, "expires_on": None}],
            p_targets=[],
        )

    def commit(self, attempt: Attempt) -> dict[str, Any]:
        row = {
            "ref_id": attempt.ref_id,
            "id": str(attempt.id),
            "title": "t",
            "content_ref": str(attempt.part_id),
        }
        return self.ask(
            "commit_v1",
            attempt.write_id,
            **attempt.claim,
            p_parts=[{"part_id": str(attempt.part_id), "version_id": "v1"}],
            p_ops=[
                {"entity": "notes", "op": "insert", "columns": ["title"], "refs": ["content"], "rows": [row]}
            ],
        )

    def renew(self, attempt: Attempt, lease: timedelta) -> dict[str, Any]:
        return self.ask("renew_v1", attempt.write_id, p_lease=lease)

    def abandon(self, attempt: Attempt) -> dict[str, Any]:
        return self.ask("abandon_v1", attempt.write_id)


@dataclass
class Attempt:
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
def desk(leg: str, request: pytest.FixtureRequest) -> Iterator[Desk]:
    if leg == "memory":
        memory = Memory()
        memory.declare(*ENTITIES)
        yield Desk(memory.drivers["ledger"], memory.move_clock)
        return
    embedded: Store = request.getfixturevalue("embedded")
    ledger = PostgresLedger(embedded.settings)
    yield Desk(ledger, request.getfixturevalue("embedded_clock"))
    run(ledger.close())


def test_a_staged_write_commits(desk: Desk) -> None:
    """Stage grants the lease and the part's key; commit answers the row and its version."""
    attempt = Attempt()
    staged = desk.stage(attempt)
    key = f"{desk.tenant}/notes/{attempt.ref_id}/content/{attempt.part_id}"
    assert staged["parts"] == {str(attempt.part_id): {"key": key, "expires_on": None}}
    granted = datetime.fromisoformat(staged["sign_until"]) - datetime.fromisoformat(staged["now"])
    assert (staged["outcome"], granted) == ("staged", MINUTE)
    done = desk.commit(attempt)
    assert (done["outcome"], done["rows"]) == ("committed", [["notes", attempt.ref_id, 1]])


def test_calls_may_be_repeated(desk: Desk) -> None:
    """Stage and commit of one write, sent twice, answer the same; after commit both replay."""
    attempt = Attempt()
    assert desk.stage(attempt)["parts"] == desk.stage(attempt)["parts"]
    rows = desk.commit(attempt)["rows"]
    for again in (desk.commit(attempt), desk.stage(attempt)):
        assert (again["outcome"], again["write_id"]) == ("replay", str(attempt.write_id))
        assert again["result"] == {"rows": rows}


def test_a_key_is_held_while_the_lease_runs(desk: Desk) -> None:
    """Another write with the key is told how long the holder's lease still runs, and commits nothing."""
    holder, other = Attempt(), Attempt()
    desk.stage(holder)
    held = desk.stage(other)
    assert held["outcome"] == "held"
    assert 0 < held["lease_left"] <= 60
    assert desk.commit(other) == {"outcome": "lost"}
    assert desk.commit(holder)["outcome"] == "committed"


def test_a_key_belongs_to_one_request(desk: Desk) -> None:
    """A key with another fingerprint is a mismatch, pending or committed."""
    holder = Attempt()
    desk.stage(holder)
    assert desk.stage(Attempt(fingerprint=b"other")) == {"outcome": "mismatch"}
    desk.commit(holder)
    assert desk.stage(Attempt(fingerprint=b"other")) == {"outcome": "mismatch"}


def test_a_lapsed_lease_loses_the_key_to_the_next(desk: Desk) -> None:
    """Once the lease is over the next write takes the key; the late one can then do nothing."""
    late, next_one = Attempt(), Attempt()
    desk.stage(late)
    desk.move_clock(2 * MINUTE)
    assert desk.stage(next_one)["outcome"] == "staged"
    for robbed in (desk.commit(late), desk.renew(late, MINUTE), desk.stage(late)):
        assert robbed == {"outcome": "lost"}
    assert desk.abandon(late) == {"outcome": "aborted"}
    assert desk.commit(next_one)["outcome"] == "committed"


def test_a_late_commit_that_nobody_robbed_is_welcome(desk: Desk) -> None:
    """Commit does not ask for the lease."""
    attempt = Attempt()
    desk.stage(attempt)
    desk.move_clock(5 * MINUTE)
    assert desk.commit(attempt)["outcome"] == "committed"


def test_a_renewal_never_shortens(desk: Desk) -> None:
    """Renew sets the lease on, by the server's clock, and a shorter one leaves it as it is."""
    attempt = Attempt()
    staged = desk.stage(attempt, 10 * MINUTE)
    shorter = desk.renew(attempt, MINUTE)
    assert (shorter["outcome"], shorter["sign_until"]) == ("renewed", staged["sign_until"])
    longer = desk.renew(attempt, 20 * MINUTE)
    assert longer["sign_until"] > staged["sign_until"]


def test_a_write_is_renewed_for_a_day_at_most(desk: Desk) -> None:
    """A write older than 24 hours loses its renewals, so nothing holds a key for ever."""
    attempt = Attempt()
    desk.stage(attempt)
    desk.move_clock(timedelta(hours=25))
    assert desk.renew(attempt, MINUTE) == {"outcome": "lost"}


def test_abandon_decides(desk: Desk) -> None:
    """Abandon ends a pending write, tells of a committed one, and forestalls one that never came."""
    pending, committed, unknown = Attempt(), Attempt(key="other"), Attempt(key="third")
    desk.stage(pending)
    desk.stage(committed)
    desk.commit(committed)
    assert desk.abandon(pending) == {"outcome": "aborted"}
    assert desk.stage(Attempt())["outcome"] == "staged"
    told = desk.abandon(committed)
    assert (told["outcome"], told["result"]["rows"]) == ("committed", [["notes", committed.ref_id, 1]])
    assert desk.abandon(unknown) == {"outcome": "aborted"}
    assert desk.stage(unknown) == {"outcome": "lost"}


def test_an_old_write_is_not_begun(desk: Desk) -> None:
    """An id minted more than a day ago stages nothing, and its outcome is unknown."""
    attempt = Attempt()
    desk.move_clock(timedelta(hours=25))
    assert desk.stage(attempt) == {"outcome": "lost"}
    assert desk.abandon(attempt) == {"outcome": "unknown"}


def test_a_part_that_no_row_names_is_refused(desk: Desk) -> None:
    """Rows and parts of a commit name each other one to one; else nothing of it stays."""
    attempt = Attempt()
    desk.stage(attempt)
    stranger = Attempt(write_id=attempt.write_id, part_id=new_id())
    with pytest.raises(UsageError):
        desk.commit(stranger)
    assert desk.commit(attempt)["outcome"] == "committed"


@pytest.mark.parametrize("lease", [timedelta(0), timedelta(days=2)])
def test_a_lease_has_limits(desk: Desk, lease: timedelta) -> None:
    """A lease is between 1 ms and 1 day."""
    with pytest.raises(UsageError):
        desk.stage(Attempt(), lease)


def test_the_records_are_those_of_the_class() -> None:
    """The cases above write the columns and parts of Note."""
    assert Note.storekit_table.columns.keys() | Note.storekit_table.parts.keys() == {"title", "content"}
