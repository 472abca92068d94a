"""Records that exchange the values of a unique key in one commit."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from storekit import Conflict, ConstraintViolation
from tests.support.entities import Kind, Order, OrderStatus, Run, Sheet, Slot, Visit
from tests.support.harness import Harness


async def _paths(harness: Harness, records: list[Any]) -> list[str]:
    return [(await harness.repository(Sheet).get(each.ref_id)).path for each in records]


async def test_two_records_exchange_a_key(harness: Harness) -> None:
    """Two records of one unit may exchange their natural keys, and each gets one version more."""
    sheets = harness.repository(Sheet)
    a, b = await sheets.save_many([Sheet(path="a"), Sheet(path="b")])
    a.path, b.path = "b", "a"
    await harness.work(lambda tx: tx.save(b), lambda tx: tx.save(a))
    assert await _paths(harness, [a, b]) == ["b", "a"]
    assert [a.version, b.version] == [2, 2]
    a.path, b.path, b.n = "a", "b", 7
    await sheets.save_many([a, b])
    assert await _paths(harness, [a, b]) == ["a", "b"]


async def test_the_exchange_is_one_event_of_each_record(harness: Harness) -> None:
    """The events of an exchange contain the values before and after it, and no temporary value."""
    sheets = harness.repository(Sheet)
    a, b = await sheets.save_many([Sheet(path="a"), Sheet(path="b")])
    a.path, b.path = "b", "a"
    await harness.work(lambda tx: tx.save(a), lambda tx: tx.save(b))
    for record, before, after in ((a, "a", "b"), (b, "b", "a")):
        events = await sheets.history(record.ref_id)
        created, changed = sorted(events, key=lambda event: event.version)
        assert (created.version, changed.version) == (1, 2)
        assert changed.before == {"path": before}
        assert changed.after == {"path": after}


async def test_many_records_pass_a_key_on(harness: Harness) -> None:
    """Each record may take the key of the next one, in a circle or not, and a new record takes one."""
    sheets = harness.repository(Sheet)
    records = await sheets.save_many([Sheet(path=path) for path in "abcdef"])
    for record, path in zip(records, "bcdefa", strict=True):
        record.path = path
    await sheets.save_many(records)
    assert await _paths(harness, records) == list("bcdefa")
    for record, path in zip(records, "cdefag", strict=True):
        record.path = path
    new = Sheet(path="b")
    await harness.work(lambda tx: tx.save(new), lambda tx: tx.save_many(records))
    assert await _paths(harness, [new, *records]) == list("bcdefag")


async def test_updates_exchange_a_key(harness: Harness) -> None:
    """Updates by ref_id exchange a key too, with their expected versions."""
    sheets = harness.repository(Sheet)
    a, b = await sheets.save_many([Sheet(path="a"), Sheet(path="b")])
    await harness.work(
        lambda tx: tx.update(Sheet, a.ref_id, {"path": "b"}, expected_version=1),
        lambda tx: tx.update(Sheet, b.ref_id, {"path": "a", "n": 2}, expected_version=1),
    )
    assert await _paths(harness, [a, b]) == ["b", "a"]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("text", ("a", "b")),
        ("number", (1, -1)),
        ("real", (0.5, 1e300)),
        ("money", (Decimal("1.00"), Decimal(2))),
        ("uid", (UUID(int=1), UUID(int=2))),
        ("moment", (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))),
        ("day", (date(2026, 1, 1), date(9999, 12, 31))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_values_of_each_type_are_exchanged(
    harness: Harness, field: str, values: tuple[Any, Any]
) -> None:
    """Keys of text, numbers, UUIDs, times and dates are exchanged; the events hold the exact values."""
    slots = harness.repository(Slot)
    one, other = await slots.save_many([Slot(**{field: value}) for value in values])
    setattr(one, field, values[1])
    setattr(other, field, values[0])
    await slots.save_many([one, other])
    read = [getattr(await slots.get(each.ref_id), field) for each in (other, one)]
    assert [(type(value), repr(value)) for value in read] == [(type(value), repr(value)) for value in values]
    first, second = [
        max(await slots.history(each.ref_id), key=lambda event: event.version) for each in (one, other)
    ]
    assert (first.before, first.after) == (second.after, second.before)


async def test_the_place_in_a_partial_key_passes_on(harness: Harness) -> None:
    """One record leaves a partial unique index and another enters it in one unit, in any order of both."""
    slots, run = harness.repository(Slot), await harness.repository(Run).save(Run(name="r"))
    one, other = await slots.save_many([Slot(run_id=run.id, main=True), Slot(run_id=run.id)])
    for old, new, order in ((one, other, 1), (other, one, 1), (one, other, -1), (other, one, -1)):
        changes = [
            lambda tx, old=old: tx.update(Slot, old.ref_id, {"main": False}),
            lambda tx, new=new: tx.update(Slot, new.ref_id, {"main": True}),
        ]
        await harness.work(*changes[::order])
        assert [each.ref_id for each in await slots.find({"main": True}, unindexed=True)] == [new.ref_id]


async def test_transitions_pass_a_key_on(harness: Harness) -> None:
    """A record may take the place of one that leaves a state, whatever their order."""
    orders = harness.repository(Order)
    one, other = await orders.save_many([Order(number=number, batch=number) for number in "12"])
    for each in (one, other):
        await orders.transition(each.ref_id, OrderStatus.CONFIRMED)
    await orders.update_many({each.ref_id: {"batch": "b"} for each in (one, other)})
    await orders.transition(other.ref_id, OrderStatus.SHIPPED)
    await harness.work(
        lambda tx: tx.transition(Order, one.ref_id, OrderStatus.SHIPPED),
        lambda tx: tx.transition(Order, other.ref_id, OrderStatus.DELIVERED),
    )
    found = await orders.find({"status": OrderStatus.SHIPPED}, unindexed=True)
    assert [each.ref_id for each in found] == [one.ref_id]


async def test_references_are_exchanged(harness: Harness) -> None:
    """Records exchange the records to which a unique reference points, and the reference stays checked."""
    slots, runs = (
        harness.repository(Slot),
        await harness.repository(Run).save_many([Run(name="r"), Run(name="s")]),
    )
    one, other = await slots.save_many([Slot(run_id=run.id, main=True) for run in runs])
    one.run_id, other.run_id = other.run_id, one.run_id
    await slots.save_many([one, other])
    assert [(await slots.get(each.ref_id)).run_id for each in (other, one)] == [run.id for run in runs]
    with pytest.raises(ConstraintViolation) as caught:
        await harness.work(
            lambda tx: tx.update(Slot, one.ref_id, {"run_id": runs[0].id}),
            lambda tx: tx.update(Slot, other.ref_id, {"run_id": uuid4()}),
        )
    assert str(caught.value.constraint).startswith("slots_run_id_fk_")
    assert [(await slots.get(each.ref_id)).run_id for each in (other, one)] == [run.id for run in runs]


async def test_a_part_of_a_key_is_exchanged(harness: Harness) -> None:
    """Records exchange a part of a key that alone has no value to spare, and keep the other part."""
    leads = harness.repository(Visit)
    one, other = await leads.save_many([Visit(kind=kind, place="p") for kind in Kind])
    kinds = [one.kind, other.kind]
    one.kind, other.kind = other.kind, one.kind
    await leads.save_many([one, other])
    read = [await leads.get(each.ref_id) for each in (other, one)]
    assert [each.kind for each in read] == kinds
    assert [each.place for each in read] == ["p", "p"]
    events = [max(await leads.history(each.ref_id), key=lambda event: event.version) for each in read]
    assert [set(event.after or ()) for event in events] == [{"kind"}, {"kind"}]


async def test_a_restored_record_takes_a_freed_key(harness: Harness) -> None:
    """A record is restored into a partial unique index that another one leaves in the same unit."""
    orders = harness.repository(Order)
    gone = await orders.save(Order(number="1", batch="b"))
    await orders.delete(gone.ref_id)
    other = await orders.save(Order(number="2", batch="b"))
    await harness.work(
        lambda tx: tx.restore(Order, gone.ref_id), lambda tx: tx.update(Order, other.ref_id, {"batch": "c"})
    )
    assert (await orders.get(gone.ref_id)).batch == "b"
    await harness.work(
        lambda tx: tx.update(Order, other.ref_id, {"batch": "b"}), lambda tx: tx.delete(Order, gone.ref_id)
    )
    await harness.work(lambda tx: tx.restore(Order, gone.ref_id), lambda tx: tx.delete(Order, other.ref_id))
    assert (await orders.get(gone.ref_id)).batch == "b"


async def test_a_stale_record_of_an_exchange_is_a_conflict(harness: Harness) -> None:
    """If somebody else has changed a record since, the exchange raises Conflict, not a violated key."""
    sheets = harness.repository(Sheet)
    a, b, c = await sheets.save_many([Sheet(path="a"), Sheet(path="b"), Sheet(path="c")])
    await harness.work(
        lambda tx: tx.update(Sheet, a.ref_id, {"path": "c"}),
        lambda tx: tx.update(Sheet, c.ref_id, {"path": "a"}),
    )
    a.path, b.path = "b", "a"
    with pytest.raises(Conflict) as caught:
        await harness.work(lambda tx: tx.save(a), lambda tx: tx.save(b))
    assert (caught.value.ref_id, caught.value.expected, caught.value.found) == (a.ref_id, 1, 2)


async def test_a_key_that_nobody_gives_up_is_refused(harness: Harness) -> None:
    """If a third record holds one of the keys, nothing is written."""
    sheets = harness.repository(Sheet)
    a, b, _ = await sheets.save_many([Sheet(path="a"), Sheet(path="b"), Sheet(path="c")])
    a.path, b.path = "b", "c"
    with pytest.raises(ConstraintViolation) as caught:
        await harness.work(lambda tx: tx.save(a), lambda tx: tx.save(b))
    assert caught.value.fields == ("path",)
    assert await _paths(harness, [a, b]) == ["a", "b"]
    a.path, b.path = "x", "x"
    with pytest.raises(ConstraintViolation):
        await harness.work(lambda tx: tx.save(a), lambda tx: tx.save(b))
    assert await _paths(harness, [a, b]) == ["a", "b"]
