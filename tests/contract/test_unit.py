"""Units of work: many records of many tables, in one commit or not at all."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from entities import Call, Hit, Lead, Note, Order, OrderStatus, Payload, Remark, Report, Run
from world import World, fail, steps, trips

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


async def test_a_unit_saves_records_of_many_tables_in_one_trip(world: World) -> None:
    """Records without parts, of any classes, become visible together by one Postgres trip."""
    with steps() as seen:
        async with world.unit() as tx:
            run = tx.save(Run(name="nightly"))
            lead = tx.save(Lead(number="1", run_id=run.id))
            assert (run.version, lead.version) == (None, None)
    assert trips(seen) == {"postgres.commit": 1}
    assert (run.version, lead.version, lead.created_by) == (1, 1, "user:tester")
    assert (await world.repository(Lead).get(lead.ref_id)).run_id == run.id


async def test_a_unit_with_parts_is_two_trips_around_one_wave(world: World) -> None:
    """Whatever a unit holds, its parts go to the stores in one wave between two Postgres trips."""
    run = Run(name="x")
    with steps() as seen:
        async with world.unit() as tx:
            tx.save(Call(run_id=run.id, name="a", payload=Payload(q="a"), transcript=Blob("# a")))
            tx.save(Note(title="n", content=Blob("n")))
            tx.save(Report(title="r", body={"a": 1}))
            tx.save(run)
    assert trips(seen) == {"postgres.stage": 1, "s3.put": 2, "mongo.insert": 2, "postgres.commit": 1}


async def test_records_of_one_unit_refer_to_each_other_in_any_order(world: World) -> None:
    """A record may be named before the one that it refers to, and be deleted after it."""
    report = Report(title="r")
    remark = Remark(report_id=report.id, text="first")
    leads = [Lead(number="1"), Lead(number="2")]
    leads[0].lead_id = leads[1].id
    async with world.unit() as tx:
        tx.save_many([remark, *leads])
        tx.save(report)
    assert (await world.repository(Remark).get(remark.ref_id)).report_id == report.id
    run = await world.run()
    call = await world.repository(Call).save(Call(run_id=run.id, name="x"))
    hit = await world.repository(Hit).save(Hit(external_id="1"))
    with pytest.raises(ConstraintViolation):
        await world.work(lambda tx: tx.delete(Run, run.ref_id))
    async with world.unit() as tx:
        tx.delete(Report, report.ref_id)
        tx.delete(Remark, remark.ref_id)
        tx.update(Call, call.ref_id, {"name": "y"})
    assert (hit.version, await world.repository(Remark).count()) == (1, 0)


async def test_a_unit_changes_hides_and_brings_back(world: World) -> None:
    """Updates, deletes and restores of loaded and of unloaded records go into the same commit."""
    leads = world.repository(Lead)
    loaded, other, gone, back = await leads.save_many([Lead(number=str(i)) for i in range(4)])
    await leads.delete(back.ref_id)
    async with world.unit() as tx:
        loaded.score = 7
        tx.save(loaded)
        tx.update(Lead, other.ref_id, {"score": 8, "notes": {"a": 1}}, expected_version=1)
        tx.delete(Lead, gone.ref_id)
        tx.restore(Lead, back.ref_id)
    found = {lead.number: (lead.score, lead.version) for lead in await leads.find()}
    assert found == {"0": (7, 2), "1": (8, 2), "3": (0, 3)}
    assert loaded.version == 2
    assert (await leads.get(other.ref_id, load=["notes"])).notes == {"a": 1}


async def test_an_exception_inside_leaves_nothing_and_the_objects_as_they_were(world: World) -> None:
    """What the block raises comes out unchanged; nothing is visible, and the same objects can be saved."""
    run = Run(name="x")
    note = Note(title="n", content=Blob("n"))
    with pytest.raises(ZeroDivisionError), steps() as seen:
        await world.work(lambda tx: tx.save_many([run, note]), fail)
    assert trips(seen) == {}
    assert run.version is None
    assert await world.repository(Run).count() == 0
    await world.repository(Run).save(run)
    assert run.version == 1


async def test_one_record_that_is_refused_undoes_the_unit_and_is_named(world: World) -> None:
    """A lost race, a value, a move or a key that is refused leaves nothing; `.index` tells whose it was."""
    orders = world.repository(Order)
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
            await world.work(lambda tx, run=run: tx.save(run), ask)
        assert getattr(raised.value, "index", None) == 1, error
        assert run.version is None
    assert await world.repository(Run).count() == 0
    assert (await orders.get(order.ref_id)).version == 2


async def test_what_cannot_be_is_refused_where_it_is_asked(world: World) -> None:
    """A wrong call raises at its own line, and the unit goes on without it."""
    async with world.unit() as tx:
        run = tx.save(Run(name="x"))
        assert tx.save(run) is run
        for wrong, message in (
            (lambda: tx.delete(Run, run.ref_id), "is in this unit already"),
            (lambda: tx.delete(Note, run.ref_id), "is append-only"),
            (lambda: tx.restore(Run, run.ref_id), "is not hidden by delete"),
            (lambda: tx.upsert([Run(name="y")]), "has no natural key"),
            (lambda: tx.upsert([Hit(external_id="1")]), r"insert_ignore\(\) inserts only"),
            (lambda: tx.insert_ignore([run]), "has no natural key"),
        ):
            with pytest.raises(UsageError, match=message):
                wrong()
        for wrong in (
            lambda: tx.delete(Run, "nonsense"),
            lambda: tx.update(Run, run.ref_id, [("name", "y")]),
            lambda: tx.update(Run, run.ref_id, {"name": "y"}, expected_version="1"),
            lambda: tx.save(Run(name="y"), expected_version=True),
        ):
            with pytest.raises(ValidationError):
                wrong()
        for wrong in (lambda: tx.upsert([1]), lambda: tx.insert_ignore(["x"]), lambda: tx.save(run.ref_id)):
            with pytest.raises(UsageError, match="has no table"):
                wrong()
    assert run.version == 1
    for over in (lambda: tx.save(Run(name="late")), lambda: tx.delete(Run, run.ref_id)):
        with pytest.raises(UsageError, match="has ended"):
            over()


async def test_a_unit_is_entered_once(world: World) -> None:
    """Outside its with block a unit refuses all, so that nothing is lost in silence; it is entered once."""
    tx, run = world.unit(), Run(name="x")
    with pytest.raises(UsageError, match="enter the unit of work first"):
        tx.save(run)
    async with tx:
        tx.save(run)
    with pytest.raises(UsageError, match="was entered before"):
        await tx.__aenter__()
    assert run.version == 1


async def test_a_unit_that_failed_cannot_be_committed(world: World) -> None:
    """After a flush that failed, whoever swallows the error cannot commit the rest."""

    async def swallow(tx: Any) -> None:
        with pytest.raises(ValidationError):
            await tx.flush()

    nobody, wrong = Run(name="").ref_id, {"nonsense": 1}
    with pytest.raises(UsageError, match="failed before"):
        await world.work(
            lambda tx: tx.save(Run(name="x")), lambda tx: tx.update(Order, nobody, wrong), swallow
        )
    assert await world.repository(Run).count() == 0


async def test_flushes_bound_what_a_unit_holds_and_one_commit_shows_it_all(world: World) -> None:
    """Each flush sends its parts at once; nothing is visible before the end, and then all of it."""
    notes = [Note(title=str(i), content=Blob(str(i))) for i in range(6)]
    with steps() as seen:
        async with world.unit() as tx:
            for note in notes[:3]:
                tx.save(note)
            await tx.flush()
            assert trips(seen) == {"postgres.stage": 1, "s3.put": 3}
            assert await world.repository(Note).count() == 0
            with pytest.raises(UsageError, match="already"):
                tx.save(notes[0])
            for note in notes[3:]:
                tx.save(note)
            tx.save(Run(name="x"))
    assert seen["postgres.stage"] == 2
    assert [note.version for note in notes] == [1] * 6
    assert (await world.repository(Note).count(), await world.repository(Run).count()) == (6, 1)
    assert await world.repository(Note).read(notes[5].ref_id, "content") == b"5"


async def test_a_record_is_named_by_its_place_in_the_unit(world: World) -> None:
    """`.index` counts the records of the whole unit, flushed ones too."""
    notes = [Note(title=str(i), content=Blob(str(i))) for i in range(3)]
    bad = Hit(external_id="1", lead_id=uuid4())
    with pytest.raises(ConstraintViolation) as refused:
        await world.work(lambda tx: tx.save_many(notes), lambda tx: tx.flush(), lambda tx: tx.save(bad))
    assert refused.value.index == 3


async def test_a_failure_after_a_flush_leaves_nothing(world: World) -> None:
    """What was uploaded before the block failed stays invisible, and the objects can be saved anew."""
    note = Note(title="n", content=Blob("n"))
    with pytest.raises(ZeroDivisionError):
        await world.work(lambda tx: tx.save(note), lambda tx: tx.flush(), fail)
    assert (note.version, await world.repository(Note).count()) == (None, 0)
    await world.repository(Note).save(note)
    assert await world.repository(Note).read(note.ref_id, "content") == b"n"


async def test_units_of_two_tenants_do_not_meet(world: World) -> None:
    """A record loaded in one tenant's scope is refused by another's unit, and no other tenant's is found."""
    run, other = await world.run(), uuid4()
    run.name = "theirs"
    with pytest.raises(UsageError, match="another tenant"):
        await world.work(lambda tx: tx.save(run), tenant=other)
    with pytest.raises(NotFound):
        await world.work(lambda tx: tx.update(Run, run.ref_id, {"name": "theirs"}), tenant=other)
    assert (await world.repository(Run).get(run.ref_id)).name == "nightly"


async def test_an_empty_unit_costs_nothing(world: World) -> None:
    """A unit that was asked for nothing, or for nothing new, sends nothing."""
    run = await world.run()
    with steps() as seen:
        async with world.unit():
            pass
        async with world.unit() as tx:
            tx.save(run)
    assert trips(seen) == {}


async def test_memory_has_no_connection() -> None:
    """In memory a unit says that it has no connection, and nothing of it is visible."""
    scope = memory_store(Run).scope(tenant=uuid4(), actor="user:tester")

    def work() -> None:
        with scope.transaction() as tx:
            tx.save(Run(name="x"))
            assert tx.connection

    with pytest.raises(UsageError, match="memory has no connection"):
        work()
    assert scope.repository(Run).count() == 0
