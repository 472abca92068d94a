"""Unique keys that a unit of work frees and gives to another record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from storekit import ConstraintViolation
from storekit.bridge import settle
from tests.support.entities import Lead, Order, OrderStatus, Sheet, Slot, Status
from tests.support.harness import Harness


async def test_a_unit_gives_a_freed_key_to_another_record(harness: Harness) -> None:
    """A record may take the natural key of one that the same unit deletes or renames, in any order."""
    sheets = harness.repository(Sheet)
    old, renamed, taker = await sheets.save_many([Sheet(path=path) for path in "abc"])
    new, next_ = Sheet(path="a", n=1), Sheet(path="b", n=1)
    renamed.path = "z"
    await harness.work(
        lambda tx: tx.save(new),
        lambda tx: tx.delete(Sheet, old.ref_id),
        lambda tx: tx.save(next_),
        lambda tx: tx.save(renamed),
    )
    assert {each.path: each.n for each in await sheets.find()} == {"a": 1, "b": 1, "z": 0, "c": 0}
    taker.path = "a"
    await harness.work(lambda tx: tx.delete(Sheet, new.ref_id), lambda tx: tx.save(taker))
    assert (await sheets.find({"path": "a"}))[0].ref_id == taker.ref_id


async def test_keys_of_enums_and_booleans_are_not_exchanged_at_once(harness: Harness) -> None:
    """A key of enums and booleans is not exchanged at once, and nothing is written."""
    slots = harness.repository(Slot)
    a, b = await slots.save_many(
        [Slot(status=Status.DONE, flag=True), Slot(status=Status.RUNNING, flag=True)]
    )
    a.status, b.status = b.status, a.status
    with pytest.raises(ConstraintViolation) as caught:
        await slots.save_many([a, b])
    assert caught.value.fields == ("status", "flag")
    assert (await slots.get(a.ref_id)).status is Status.DONE


@pytest.mark.sql
async def test_keys_are_exchanged_over_a_free_value(harness: Harness) -> None:
    """An open transaction can save a record twice, so two records of one unit can exchange any key."""
    slots = harness.repository(Slot)
    a, b = await slots.save_many(
        [Slot(status=Status.DONE, flag=True), Slot(status=Status.RUNNING, flag=True)]
    )
    async with harness.unit() as tx:
        await settle(tx.connection)
        for record, status in ((a, None), (b, Status.DONE), (a, Status.RUNNING)):
            record.status = status
            tx.save(record)
            await tx.flush()
    assert [(await slots.get(each.ref_id)).status for each in (a, b)] == [Status.RUNNING, Status.DONE]


async def test_a_transition_frees_a_key_of_its_state(harness: Harness) -> None:
    """A new record may take the values of one that leaves the states of a partial unique index."""
    orders = harness.repository(Order)

    def transition(tx: Any, ref_id: str) -> None:
        tx.transition(Order, ref_id, OrderStatus.CONFIRMED)

    def update(tx: Any, ref_id: str) -> None:
        tx.update(Order, ref_id, {"status": OrderStatus.CONFIRMED})

    for leave in (transition, update):
        old, new = await orders.save(Order(number="1", batch="b")), Order(number="2", batch="b")
        async with harness.unit() as tx:
            tx.save(new)
            leave(tx, old.ref_id)
        assert [each.ref_id for each in await orders.find({"status": OrderStatus.PENDING})] == [new.ref_id]
        await orders.delete(new.ref_id)


async def test_a_key_of_a_deleted_record_names_it(harness: Harness) -> None:
    """If a soft-deleted record holds the values of a key, the error names it and how to get them back."""
    leads = harness.repository(Lead)
    gone = await leads.save(Lead(number="1", email="a@b"))
    other = await leads.save(Lead(number="2"))
    await leads.delete(gone.ref_id)
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: leads.save(Lead(number="1")),
        lambda: leads.save_many([Lead(number="3"), Lead(number="1")]),
        lambda: leads.update(other.ref_id, {"number": "1"}),
    )
    for attempt in attempts:
        with pytest.raises(ConstraintViolation) as caught:
            await attempt()
        error = caught.value
        assert (error.held_by, error.fields) == (gone.ref_id, ("number",))
        assert f"the deleted record {gone.ref_id} still has the same number; restore it with" in str(error)
    with pytest.raises(ConstraintViolation) as caught:
        await leads.save(Lead(number="4", email="a@b"))
    assert (caught.value.held_by, caught.value.fields) == (gone.ref_id, ("email",))
    await leads.restore(gone.ref_id)
    with pytest.raises(ConstraintViolation, match="another record of this tenant") as caught:
        await leads.save(Lead(number="1"))
    assert caught.value.held_by is None
