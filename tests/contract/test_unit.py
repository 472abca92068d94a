"""Units of work: records of many tables in one commit or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from storekit import (
    Blob,
    Conflict,
    ConstraintViolation,
    InvalidTransition,
    NotFound,
    UsageError,
    ValidationError,
)
from storekit.testing import memory_store
from tests.support.entities import Call, Hit, Lead, Note, Order, OrderStatus, Payload, Remark, Report, Run
from tests.support.harness import Harness, fail, steps, trips


async def test_a_unit_saves_records_of_many_tables_in_one_trip(harness: Harness) -> None:
    """Records without parts, of any classes, are committed together in one Postgres trip."""
    with steps() as seen:
        async with harness.unit() as tx:
            run = tx.save(Run(name="nightly"))
            lead = tx.save(Lead(number="1", run_id=run.id))
            assert (run.version, lead.version) == (None, None)
    assert trips(seen) == {"postgres.commit": 1}
    assert (run.version, lead.version, lead.created_by) == (1, 1, "user:tester")
    assert (await harness.repository(Lead).get(lead.ref_id)).run_id == run.id


async def test_a_unit_with_parts_is_two_trips_around_one_wave(harness: Harness) -> None:
    """The parts of a unit are uploaded in one wave between two Postgres trips."""
    run = Run(name="x")
    with steps() as seen:
        async with harness.unit() as tx:
            tx.save(Call(run_id=run.id, name="a", payload=Payload(q="a"), transcript=Blob("# a")))
            tx.save(Note(title="n", content=Blob("n")))
            tx.save(Report(title="r", body={"a": 1}))
            tx.save(run)
    assert trips(seen) == {"postgres.stage": 1, "s3.put": 2, "mongo.insert": 2, "postgres.commit": 1}


async def test_records_of_one_unit_may_refer_to_each_other_in_any_order(harness: Harness) -> None:
    """A record may be saved before the one it refers to, and deleted after it."""
    report = Report(title="r")
    remark = Remark(report_id=report.id, text="first")
    leads = [Lead(number="1"), Lead(number="2")]
    leads[0].lead_id = leads[1].id
    async with harness.unit() as tx:
        tx.save_many([remark, *leads])
        tx.save(report)
    assert (await harness.repository(Remark).get(remark.ref_id)).report_id == report.id
    run = await harness.run()
    call = await harness.repository(Call).save(Call(run_id=run.id, name="x"))
    hit = await harness.repository(Hit).save(Hit(external_id="1"))
    with pytest.raises(ConstraintViolation):
        await harness.work(lambda tx: tx.delete(Run, run.ref_id))
    async with harness.unit() as tx:
        tx.delete(Report, report.ref_id)
        tx.delete(Remark, remark.ref_id)
        tx.update(Call, call.ref_id, {"name": "y"})
    assert (hit.version, await harness.repository(Remark).count()) == (1, 0)


async def test_a_unit_updates_deletes_and_restores(harness: Harness) -> None:
    """Updates, deletes and restores of loaded and of unloaded records are part of the same commit."""
    leads = harness.repository(Lead)
    loaded, other, gone, back = await leads.save_many([Lead(number=str(i)) for i in range(4)])
    await leads.delete(back.ref_id)
    async with harness.unit() as tx:
        loaded.score = 7
        tx.save(loaded)
        tx.update(Lead, other.ref_id, {"score": 8, "notes": {"a": 1}}, expected_version=1)
        tx.delete(Lead, gone.ref_id)
        tx.restore(Lead, back.ref_id)
    found = {lead.number: (lead.score, lead.version) for lead in await leads.find()}
    assert found == {"0": (7, 2), "1": (8, 2), "3": (0, 3)}
    assert loaded.version == 2
    assert (await leads.get(other.ref_id, load=["notes"])).notes == {"a": 1}


async def test_an_exception_rolls_back_the_unit_and_its_objects(harness: Harness) -> None:
    """An exception in the block is re-raised, nothing is visible, and the same objects can be saved later."""
    run = Run(name="x")
    note = Note(title="n", content=Blob("n"))
    with pytest.raises(ZeroDivisionError), steps() as seen:
        await harness.work(lambda tx: tx.save_many([run, note]), fail)
    assert trips(seen) == {}
    assert run.version is None
    assert await harness.repository(Run).count() == 0
    await harness.repository(Run).save(run)
    assert run.version == 1


async def test_a_refused_record_rolls_back_the_unit(harness: Harness) -> None:
    """A conflict, a value, a move or a key that is refused saves nothing; `.index` has the record."""
    orders = harness.repository(Order)
    order = await orders.save(Order(number="1", external_id="x"))
    await orders.update(order.ref_id, {"number": "2"})
    order.number = "3"
    refused: list[tuple[type[Exception], Any]] = [
        (Conflict, lambda tx: tx.save(order)),
        (NotFound, lambda tx: tx.update(Order, Run(name="").ref_id, {"number": "9"})),
        (InvalidTransition, lambda tx: tx.update(Order, order.ref_id, {"status": OrderStatus.DELIVERED})),
        (ConstraintViolation, lambda tx: tx.save(Order(number="4", external_id="x"))),
        (ConstraintViolation, lambda tx: tx.save(Hit(external_id="1", lead_id=uuid4()))),
        (ValidationError, lambda tx: tx.update(Order, order.ref_id, {"nonsense": 1})),
    ]
    for error, ask in refused:
        run = Run(name="never")
        with pytest.raises(error) as raised:
            await harness.work(_save(run), ask)
        assert getattr(raised.value, "index", None) == 1, error
        assert run.version is None
    assert await harness.repository(Run).count() == 0
    assert (await orders.get(order.ref_id)).version == 2


def _save(record: Run) -> Callable[[Any], Any]:
    return lambda tx: tx.save(record)


async def test_an_invalid_call_raises_at_once(harness: Harness) -> None:
    """An invalid call raises at its own line, and the unit can go on without it."""
    async with harness.unit() as tx:
        run = tx.save(Run(name="x"))
        assert tx.save(run) is run
        refused: list[tuple[Callable[[], Any], str]] = [
            (lambda: tx.delete(Run, run.ref_id), "is already in this unit of work"),
            (lambda: tx.delete(Note, run.ref_id), "is append-only"),
            (lambda: tx.restore(Run, run.ref_id), "does not support restore"),
            (lambda: tx.upsert([Run(name="y")]), "has no natural key"),
            (lambda: tx.upsert([Hit(external_id="1")]), r"use insert_ignore\(\)"),
            (lambda: tx.insert_ignore([run]), "has no natural key"),
        ]
        for wrong, message in refused:
            with pytest.raises(UsageError, match=message):
                wrong()
        invalid: list[Callable[[], Any]] = [
            lambda: tx.delete(Run, "nonsense"),
            lambda: tx.update(Run, run.ref_id, [("name", "y")]),
            lambda: tx.update(Run, run.ref_id, {"name": "y"}, expected_version="1"),
            lambda: tx.save(Run(name="y"), expected_version=True),
        ]
        for wrong in invalid:
            with pytest.raises(ValidationError):
                wrong()
        for wrong in (lambda: tx.upsert([1]), lambda: tx.insert_ignore(["x"]), lambda: tx.save(run.ref_id)):
            with pytest.raises(UsageError, match="has no table"):
                wrong()
    assert run.version == 1
    late: list[Callable[[], Any]] = [
        lambda: tx.save(Run(name="late")),
        lambda: tx.delete(Run, run.ref_id),
    ]
    for over in late:
        with pytest.raises(UsageError, match="has ended"):
            over()


async def test_a_unit_can_be_used_only_inside_its_block(harness: Harness) -> None:
    """Calls outside the with block and a second with block raise UsageError."""
    tx, run = harness.unit(), Run(name="x")
    with pytest.raises(UsageError, match="enter the unit of work first"):
        tx.save(run)
    async with tx:
        tx.save(run)
    with pytest.raises(UsageError, match="can be entered only once"):
        await tx.__aenter__()
    assert run.version == 1


async def test_a_failed_unit_cannot_be_committed(harness: Harness) -> None:
    """If the caller suppresses the error of a flush, the end of the block raises."""

    async def suppress_error(tx: Any) -> None:
        with pytest.raises(ValidationError):
            await tx.flush()

    unknown, wrong = Run(name="").ref_id, {"nonsense": 1}
    with pytest.raises(UsageError, match="failed before"):
        await harness.work(
            lambda tx: tx.save(Run(name="x")), lambda tx: tx.update(Order, unknown, wrong), suppress_error
        )
    assert await harness.repository(Run).count() == 0


async def test_flush_uploads_and_the_commit_makes_all_visible(harness: Harness) -> None:
    """Each flush uploads its parts at once; all records become visible in the commit at the end."""
    notes = [Note(title=str(i), content=Blob(str(i))) for i in range(6)]
    with steps() as seen:
        async with harness.unit() as tx:
            for note in notes[:3]:
                tx.save(note)
            await tx.flush()
            assert trips(seen) == {"postgres.stage": 1, "s3.put": 3}
            assert await harness.repository(Note).count() == 0
            with pytest.raises(UsageError, match="already"):
                tx.save(notes[0])
            for note in notes[3:]:
                tx.save(note)
            tx.save(Run(name="x"))
    assert seen["postgres.stage"] == 2
    assert [note.version for note in notes] == [1] * 6
    assert (await harness.repository(Note).count(), await harness.repository(Run).count()) == (6, 1)
    assert await harness.repository(Note).read(notes[5].ref_id, "content") == b"5"


async def test_index_counts_all_records_of_the_unit(harness: Harness) -> None:
    """`.index` counts the records of the whole unit, including flushed ones."""
    notes = [Note(title=str(i), content=Blob(str(i))) for i in range(3)]
    bad = Hit(external_id="1", lead_id=uuid4())
    with pytest.raises(ConstraintViolation) as refused:
        await harness.work(lambda tx: tx.save_many(notes), lambda tx: tx.flush(), lambda tx: tx.save(bad))
    assert refused.value.index == 3


async def test_a_failure_after_a_flush_leaves_nothing(harness: Harness) -> None:
    """Parts that were flushed before the failure stay invisible, and the objects can be saved again."""
    note = Note(title="n", content=Blob("n"))
    with pytest.raises(ZeroDivisionError):
        await harness.work(lambda tx: tx.save(note), lambda tx: tx.flush(), fail)
    assert (note.version or None, await harness.repository(Note).count()) == (None, 0)
    await harness.repository(Note).save(note)
    assert await harness.repository(Note).read(note.ref_id, "content") == b"n"


async def test_a_unit_refuses_records_of_another_tenant(harness: Harness) -> None:
    """A unit refuses objects that were loaded in another tenant's scope, and does not find their records."""
    run, other = await harness.run(), uuid4()
    run.name = "theirs"
    with pytest.raises(UsageError, match="another tenant"):
        await harness.work(lambda tx: tx.save(run), tenant=other)
    with pytest.raises(NotFound):
        await harness.work(lambda tx: tx.update(Run, run.ref_id, {"name": "theirs"}), tenant=other)
    assert (await harness.repository(Run).get(run.ref_id)).name == "nightly"


async def test_an_empty_unit_costs_nothing(harness: Harness) -> None:
    """A unit without changes makes no trip."""
    run = await harness.run()
    with steps() as seen:
        async with harness.unit():
            pass
        async with harness.unit() as tx:
            tx.save(run)
    assert trips(seen) == {}


async def test_memory_has_no_connection() -> None:
    """On memory stores `connection` raises an error, and nothing of the unit is visible."""
    scope = memory_store(Run).scope(tenant=uuid4(), actor="user:tester")

    def work() -> None:
        with scope.transaction() as tx:
            tx.save(Run(name="x"))
            assert tx.connection

    with pytest.raises(UsageError, match="memory store has no connection"):
        work()
    assert scope.repository(Run).count() == 0
