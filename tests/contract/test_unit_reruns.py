"""Units of work with a key that the same process runs again with the same objects, after they succeeded."""

from __future__ import annotations

from typing import Any

import pytest

from storekit import Blob, Conflict, IdempotencyConflict, NotFound, UsageError
from storekit.bridge import settle
from tests.support.entities import Call, Hit, Lead, Order, Payload, Run
from tests.support.harness import Harness, steps, trips


def ways(harness: Harness) -> list[str]:
    """Return how a unit can claim its key: at its end, at a flush or, on servers, at the use of SQL."""
    return ["end", "flush", *(["connection"] if harness.store.settings.postgres_url else [])]


async def claim_key(tx: Any, way: str) -> None:
    """Claim the key of a unit now, or at its end."""
    if way == "flush":
        await settle(tx.flush())
    elif way == "connection":
        await settle(tx.connection)


async def test_every_operation_with_the_same_objects(harness: Harness) -> None:
    """A unit that is run again with the same objects writes nothing and is replayed, however it ends."""
    runs, orders, leads = harness.repository(Run), harness.repository(Order), harness.repository(Lead)
    for way in ways(harness):
        kept, gone = await runs.save_many([Run(name="kept"), Run(name="gone")])
        placed = await orders.save(Order(number="1"))
        old = await leads.save(Lead(number=f"old {way}", score=1))
        loaded = await runs.get(kept.ref_id)
        run = Run(name="x")
        call = Call(run_id=run.id, name="a", payload=Payload(q="q"), transcript=Blob("# a"))
        new, hit, cursor = (
            Lead(number=f"new {way}"),
            Hit(external_id=way),
            await harness.cursor(f"feed {way}"),
        )
        changed = Lead(number=old.number, score=2)
        loaded.score = 7
        for again in (False, True, True):
            async with harness.unit(idempotency_key=f"k {way}") as tx:
                tx.save(run)
                tx.save(call)
                tx.save(loaded)
                tx.delete(Run, gone.ref_id)
                tx.transition(Order, placed.ref_id, "confirmed")
                tx.upsert([changed, new])
                tx.insert_ignore([hit])
                tx.advance(cursor, "7")
                await claim_key(tx, way)
            assert tx.replayed is again, way
            assert (run.version, call.version, loaded.version, new.version, hit.version) == (1, 1, 2, 1, 1)
            assert call.payload == Payload(q="q")
        assert (await orders.get(placed.ref_id)).version == 2
        assert (await leads.get(old.ref_id)).version == 2
        assert await harness.repository(Call).read(call.ref_id, "transcript") == b"# a"


async def test_a_new_object_that_refers_to_one_of_before(harness: Harness) -> None:
    """A repetition may build some of its objects anew, also if they refer to an object of the first run."""
    run = Run(name="x")
    made = []
    for again in (False, True):
        async with harness.unit(idempotency_key="k") as tx:
            tx.save(run)
            made.append(tx.save(Call(run_id=run.id, name="a")))
        assert tx.replayed is again
    assert made[0].ref_id == made[1].ref_id


async def test_a_unit_of_saves_alone(harness: Harness) -> None:
    """A unit of saves that is run again with the same objects says that it was replayed."""
    run = Run(name="x")
    for again in (False, True):
        with steps() as seen:
            async with harness.unit(idempotency_key="k") as tx:
                tx.save(run)
        assert tx.replayed is again
        assert "mongo.fetch" not in trips(seen)
    assert run.version == 1


async def test_an_object_that_was_changed_is_another_request(harness: Harness) -> None:
    """An object that was changed since the first run is another request: the key is refused, and the record
    stays as it was."""
    run, kept = Run(name="x"), await harness.run()
    async with harness.unit(idempotency_key="k") as tx:
        tx.save(run)
        tx.update(Run, kept.ref_id, {"score": 1})
    run.score = 5
    with pytest.raises(IdempotencyConflict, match="if they have not changed"):
        await harness.work(
            lambda tx: tx.save(run), lambda tx: tx.update(Run, kept.ref_id, {"score": 1}), idempotency_key="k"
        )
    assert (await harness.repository(Run).get(run.ref_id)).score == 0


async def test_an_object_of_another_key_is_another_request(harness: Harness) -> None:
    """An object that a unit with another key has saved is a stored record in this one."""
    run, kept = Run(name="x"), await harness.run()
    for score, key in enumerate(("one", "two")):
        async with harness.unit(idempotency_key=key) as tx:
            tx.save(run)
            tx.update(Run, kept.ref_id, {"score": score})
        assert not tx.replayed
    assert (run.version, await harness.repository(Run).count()) == (1, 2)
    with pytest.raises(UsageError, match="was saved or loaded before"):
        async with harness.unit(idempotency_key="three") as tx:
            tx.upsert([await harness.repository(Lead).save(Lead(number="1"))])


async def test_a_version_that_the_first_run_has_passed(harness: Harness) -> None:
    """A repetition passes the expected versions of the first run, also if validators look at the record."""
    run, gone = await harness.run(), await harness.run()
    entity = harness_judging()
    judged = harness.repository(entity)
    for again in (False, True):
        async with harness.unit(idempotency_key="k") as tx:
            tx.update(entity, run.ref_id, {"score": 3}, expected_version=1)
            tx.update(entity, gone.ref_id, {"score": 3})
            tx.save(made := Run(name="new"))
        assert tx.replayed is again
        if not again:
            await harness.repository(Run).delete(gone.ref_id)
    assert (made.version, (await judged.get(run.ref_id)).version) == (1, 2)
    with pytest.raises(Conflict):
        async with harness.unit(idempotency_key="another") as tx:
            tx.update(entity, run.ref_id, {"score": 4}, expected_version=1)
    with pytest.raises(NotFound):
        async with harness.unit(idempotency_key="another") as tx:
            tx.update(entity, gone.ref_id, {"score": 4})


def harness_judging() -> type[Run]:
    """Return a class with a validator of the whole record."""
    from pydantic import model_validator

    class Judged(Run):
        @model_validator(mode="after")
        def _judge(self) -> Any:
            assert self.score < 10
            return self

    return Judged


async def test_a_failed_unit_can_be_run_again(harness: Harness) -> None:
    """The objects of a unit that failed are new ones in the next run."""
    run = Run(name="x")
    absent = Run(name="absent").ref_id
    with pytest.raises(NotFound):
        await harness.work(
            lambda tx: tx.save(run),
            lambda tx: tx.flush(),
            lambda tx: tx.update(Run, absent, {"score": 1}),
            idempotency_key="k",
        )
    for again in (False, True):
        async with harness.unit(idempotency_key="k") as tx:
            tx.save(run)
            await settle(tx.flush())
        assert (tx.replayed, run.version) == (again, 1)
