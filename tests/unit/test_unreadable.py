"""Stored values that a class cannot hold, because another version of it wrote them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, PrivateAttr

from storekit import Entity, Mutable, SoftDelete, Unreadable, document, index, moves
from storekit.bridge import settle
from storekit.testing import Memory, async_memory_store, memory_store


class Flow(StrEnum):
    OPEN = "open"
    PAID = "paid"


class Lines(BaseModel):
    total: int


class OtherLines(BaseModel):
    totals: list[int]


def declared(kinds: list[str], lines: type[BaseModel]) -> type[Entity]:
    """Return a version of one class."""
    make: Any = StrEnum
    Kind = make("Kind", [(each.upper(), each) for each in kinds])  # noqa: N806 it is a class

    class Invoice(
        Entity, Mutable, SoftDelete, table="invoices", natural_key=("note",), indexes=[index("flow")]
    ):
        note: str = ""
        kind: Kind = Kind.PLAIN  # type: ignore[valid-type]
        summary: lines | None = None  # type: ignore[valid-type]
        body: Annotated[lines | None, document(collection="bodies")] = None  # type: ignore[valid-type]
        flow: Annotated[Flow, moves({Flow.OPEN: [Flow.PAID]})] = Flow.OPEN

    return Invoice


Old, New = declared(["plain"], Lines), declared(["plain", "recurring"], OtherLines)


class Invoices:
    """Repositories of both versions, over the same records."""

    def __init__(self, api: str) -> None:
        memory, tenant = Memory(), uuid4()
        make = memory_store if api == "sync" else async_memory_store
        self.old, self.new = (
            make(version, memory=memory).scope(tenant=tenant, actor="test").repository(version)
            for version in (Old, New)
        )

    async def made_by_new(self, note: str = "a") -> Any:
        """Save a record that the old version cannot hold."""
        record: Any = New
        return await settle(
            self.new.save(
                record(
                    note=note, kind="recurring", summary=OtherLines(totals=[1]), body=OtherLines(totals=[2])
                )
            )
        )


@pytest.fixture(params=["sync", "async"])
def invoices(request: pytest.FixtureRequest) -> Invoices:
    return Invoices(request.param)


def unreadable(record: Any, name: str) -> Unreadable:
    """Read a field of a record that raises, and return the error."""
    with pytest.raises(Unreadable) as raised:
        getattr(record, name)
    error = raised.value
    assert (error.table, error.ref_id, error.field, error.version) == ("invoices", record.ref_id, name, None)
    assert all(word in str(error) for word in ("invoices", record.ref_id, name))
    return error


async def test_only_the_field_that_cannot_be_held_raises(invoices: Invoices) -> None:
    """get returns a record with a value that its class cannot hold; reading that field raises Unreadable."""
    made = await invoices.made_by_new()
    found: Any = await settle(invoices.old.get(made.ref_id, load=["body"]))
    assert (found.note, found.flow, found.version) == ("a", Flow.OPEN, 1)
    assert "'recurring' is not a valid" in str(unreadable(found, "kind"))
    assert "total Field required" in str(unreadable(found, "summary"))
    assert "total Field required" in str(unreadable(found, "body"))
    assert "kind=<unreadable>" in repr(found)
    assert {"kind", "summary", "body"}.isdisjoint(found.model_dump())


async def test_one_value_hides_no_page(invoices: Invoices) -> None:
    """find returns every record of a page, those with a value that the class cannot hold included."""
    await settle(invoices.old.save(Old(note="good", body=Lines(total=1))))  # type: ignore[call-arg]
    bad = await invoices.made_by_new("bad")
    page: Any = await settle(invoices.old.find(load=["body"]))
    assert {each.note for each in page} == {"good", "bad"}
    for each in page:
        if each.ref_id == bad.ref_id:
            unreadable(each, "body")
        else:
            assert each.body == Lines(total=1)


CHANGES: dict[str, Callable[[Any, str], Any]] = {
    "update": lambda old, ref_id: old.update(ref_id, {"note": "x"}),
    "update_many": lambda old, ref_id: old.update_many({ref_id: {"note": "x"}}),
    "transition": lambda old, ref_id: old.transition(ref_id, "paid"),
    "claim": lambda old, _: old.claim({"flow": Flow.OPEN}, "paid", 1),
    "restore": lambda old, ref_id: old.restore(ref_id),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_returns_the_record(invoices: Invoices, name: str) -> None:
    """A call that changed a record returns it, whatever other versions have written into its other fields."""
    made = await invoices.made_by_new()
    if name == "restore":
        await settle(invoices.new.delete(made.ref_id))
    changed = await settle(CHANGES[name](invoices.old, made.ref_id))
    changed = changed[0] if isinstance(changed, list) else changed
    assert changed.version == (3 if name == "restore" else 2)
    unreadable(changed, "kind")


async def test_a_save_keeps_what_it_cannot_read(invoices: Invoices) -> None:
    """A save writes the fields that were assigned, and nothing over a value that the class cannot hold; the
    next one too."""
    made = await invoices.made_by_new()
    found: Any = await settle(invoices.old.get(made.ref_id, load=["body"]))
    for note in ("b", "c"):
        found.note = note
        await settle(invoices.old.save(found))
    new: Any = await settle(invoices.new.get(made.ref_id, load=["body"]))
    assert (new.note, new.kind, new.summary.totals, new.body.totals) == ("c", "recurring", [1], [2])
    assert new.version == 3


@pytest.mark.parametrize("assigned", [None, Lines(total=3)], ids=["None", "value"])
async def test_a_value_that_cannot_be_read_can_be_replaced(
    invoices: Invoices, assigned: Lines | None
) -> None:
    """Assigning a field that cannot be read replaces its value, also by None."""
    made = await invoices.made_by_new()
    found: Any = await settle(invoices.old.get(made.ref_id))
    found.summary, found.kind = assigned, "plain"
    await settle(invoices.old.save(found))
    assert found.summary == assigned
    again: Any = await settle(invoices.old.get(made.ref_id))
    assert (again.summary, again.kind, again.version) == (assigned, "plain", 2)


async def test_an_upsert_changes_the_given_fields_only(invoices: Invoices) -> None:
    """upsert updates a record with a value that the class cannot hold, and leaves that value as it is."""
    made = await invoices.made_by_new()
    old: Any = Old
    changed: Any
    [changed] = await settle(invoices.old.upsert([old(note="a", summary=Lines(total=9))]))
    assert (changed.ref_id, changed.version, changed.summary) == (made.ref_id, 2, Lines(total=9))
    unreadable(changed, "kind")


class Deriving(Entity, Mutable, table="invoices"):
    note: str = ""
    kind: Flow | None = None
    _label: str = PrivateAttr("")

    def model_post_init(self, context: Any, /) -> None:
        self._label = f"{self.note} {self.kind}"


def test_a_derived_value_hides_no_record() -> None:
    """A record is returned also if its `model_post_init` reads a value that the class cannot hold."""
    memory, tenant = Memory(), uuid4()
    deriving, new = (
        memory_store(each, memory=memory).scope(tenant=tenant, actor="test").repository(each)
        for each in (Deriving, New)
    )
    record: Any = New
    made = new.save(record(note="a", kind="recurring"))
    found: Any = deriving.get(made.ref_id)
    assert (found.note, found._label) == ("a", "")
    with pytest.raises(Unreadable):
        _ = found.kind


def test_a_repeated_unit_keeps_what_it_cannot_read() -> None:
    """The objects of a unit that was committed before have no value in a field that cannot be held, so a
    later save leaves it as it is."""
    memory, tenant = Memory(), uuid4()
    old, new = (memory_store(each, memory=memory).scope(tenant=tenant, actor="test") for each in (Old, New))
    record: Any = Old
    for again in (False, True):
        made: Any = record(note="a")
        with old.transaction(idempotency_key="k") as tx:
            tx.save(made)
        assert tx.replayed is again
        if not again:
            new.repository(New).update(made.ref_id, {"kind": "recurring"})
    unreadable(made, "kind")
    made.summary = Lines(total=1)
    old.repository(Old).save(made)
    stored: Any = new.repository(New).get(made.ref_id)
    assert (stored.kind, stored.version) == ("recurring", 3)


class Careful(Entity, Mutable, table="invoices"):
    note: str = ""

    def model_post_init(self, context: Any, /) -> None:
        if self.note == "refused":
            raise ValueError("no such note")


def test_an_error_after_the_commit_says_what_is_committed() -> None:
    """If code of the class fails for the record that a change returns, reading it names the committed
    version."""
    careful = memory_store(Careful).scope(tenant=uuid4(), actor="test").repository(Careful)
    made = careful.save(Careful(note="a"))
    changed = careful.update(made.ref_id, {"note": "refused"})
    with pytest.raises(
        Unreadable, match=r"version 2 is committed.*ValueError: no such note.*do not repeat"
    ) as e:
        _ = changed.note
    error = e.value
    assert (error.table, error.ref_id, error.field, error.version) == ("invoices", made.ref_id, None, 2)
    assert not error.retryable
