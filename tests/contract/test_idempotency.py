"""Idempotency keys: at most one record for each key, however often the save is repeated."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from storekit import Blob, IdempotencyConflict, NotFound, UsageError, trace
from tests.support.entities import Call, Note, Payload, Run
from tests.support.harness import Harness, steps, trips


def _call(run: Run, **values: Any) -> Call:
    return Call(
        run_id=run.id, **{"name": "x", "payload": Payload(q="x"), "transcript": Blob("# hi"), **values}
    )


async def test_a_repeated_save_returns_the_first_record(harness: Harness) -> None:
    """The same request with the same key returns a new object of the first record, and uploads nothing."""
    calls, run = harness.repository(Call), await harness.run()
    first = await calls.save(_call(run), idempotency_key="k")
    passed = _call(run)
    with steps() as seen:
        second = await calls.save(passed, idempotency_key="k")
    assert trips(seen) == {"postgres.stage": 1, "postgres.select": 1}
    assert (second.ref_id, second.id, second.version) == (first.ref_id, first.id, 1)
    assert second is not passed
    assert passed.version is None
    with pytest.raises(NotFound):
        await calls.get(passed.ref_id)


async def test_a_repeated_save_without_parts_returns_the_first_record(harness: Harness) -> None:
    """A repeated save of columns takes one trip for the commit and one to read the record."""
    runs = harness.repository(Run)
    first = await runs.save(Run(name="x"), idempotency_key="k")
    with steps() as seen:
        second = await runs.save(Run(name="x"), idempotency_key="k")
    assert trips(seen) == {"postgres.commit": 1, "postgres.select": 1}
    assert second.ref_id == first.ref_id


async def test_a_repeated_save_returns_the_current_version(harness: Harness) -> None:
    """The returned object has the current values of the record, and can be changed and saved."""
    runs = harness.repository(Run)
    first = await runs.save(Run(name="x"), idempotency_key="k")
    await runs.update(first.ref_id, {"score": 5})
    second = await runs.save(Run(name="x"), idempotency_key="k")
    assert (second.score, second.version) == (5, 2)
    second.score = 6
    await runs.save(second)
    assert (await runs.get(first.ref_id)).score == 6


async def test_a_repeated_save_of_a_deleted_record_is_not_found(harness: Harness) -> None:
    """Repeating the save of a record that was deleted since does not insert a second one."""
    calls, run = harness.repository(Call), await harness.run()
    first = await calls.save(_call(run), idempotency_key="k")
    await calls.delete(first.ref_id)
    with pytest.raises(NotFound):
        await calls.save(_call(run), idempotency_key="k")


async def test_a_repeated_batch_returns_its_records_in_order(harness: Harness) -> None:
    """The n-th result is the n-th record of the first call, although the ids of the objects differ."""
    calls, run = harness.repository(Call), await harness.run()
    names = [f"n{(i * 7) % 20}" for i in range(20)]
    first = await calls.save_many([_call(run, name=name) for name in names], idempotency_key="k")
    second = await calls.save_many([_call(run, name=name) for name in names], idempotency_key="k")
    assert [each.name for each in second] == names
    assert [each.ref_id for each in second] == [each.ref_id for each in first]


@pytest.mark.parametrize(
    "values", [{"name": "y"}, {"payload": Payload(q="y")}, {"transcript": Blob("# other")}, {"payload": None}]
)
async def test_a_key_is_bound_to_its_request(harness: Harness, values: dict[str, object]) -> None:
    """A used key with other columns, documents or content raises IdempotencyConflict and saves nothing."""
    calls, run = harness.repository(Call), await harness.run()
    await calls.save(_call(run), idempotency_key="k")
    other = _call(run, **values)
    with pytest.raises(IdempotencyConflict) as caught:
        await calls.save(other, idempotency_key="k")
    assert caught.value.key == "k"
    with pytest.raises(NotFound):
        await calls.get(other.ref_id)


async def test_a_key_belongs_to_its_tenant(harness: Harness) -> None:
    """Two tenants may use the same key for different requests."""
    other = Harness(harness.store, harness.browse, harness.move_clock)
    mine = await harness.repository(Run).save(Run(name="mine"), idempotency_key="k")
    theirs = await other.repository(Run).save(Run(name="theirs"), idempotency_key="k")
    assert (mine.name, theirs.name) == ("mine", "theirs")


async def test_a_refused_save_frees_its_key(harness: Harness) -> None:
    """The key of a save that was refused can be used at once for the corrected request."""
    runs, calls = harness.repository(Run), harness.repository(Call)
    absent = Run(name="absent")
    with pytest.raises(Exception, match="calls_run_id_fk_aa57465f"):
        await calls.save(_call(absent), idempotency_key="k")
    await runs.save(absent)
    saved = await calls.save(_call(absent, name="corrected"), idempotency_key="k")
    assert saved.name == "corrected"


async def test_concurrent_saves_with_one_key_make_one_record(harness: Harness) -> None:
    """Concurrent saves with one key upload once, make one record, and all return it."""
    calls, run = harness.repository(Call), await harness.run()
    with steps() as seen:
        saved = await asyncio.gather(*(calls.save(_call(run), idempotency_key="k") for _ in range(6)))
    assert len({each.ref_id for each in saved}) == 1
    assert (seen["s3.put"], seen["mongo.insert"]) == (1, 1)


async def test_the_key_of_a_dead_writer_is_taken_over_after_its_lease(harness: Harness) -> None:
    """A staged write of a killed process keeps its key until its lease ends; then another save takes it."""
    calls, run = harness.repository(Call), await harness.run()
    dead = _call(run)

    class Killed(BaseException):
        pass

    def kill(name: str, phase: str) -> None:
        if name in {"postgres.commit", "postgres.abandon"}:
            raise Killed

    with trace.listen(kill), pytest.raises(Killed):
        await calls.save(dead, idempotency_key="k")
    _forget(harness, "k")
    harness.move_clock(timedelta(minutes=2))
    with steps() as seen:
        saved = await calls.save(_call(run), idempotency_key="k")
    assert seen["sleep"] == 0
    assert saved.ref_id != dead.ref_id
    assert await calls.read(saved.ref_id, "transcript") == b"# hi"
    with pytest.raises(NotFound):
        await calls.get(dead.ref_id)


def _forget(harness: Harness, key: str) -> None:
    """Clear what this process knows about its failed write, as if it were another process."""
    assert harness.store._ports.unresolved.take(harness.tenant, key)


class Cancelled(BaseException):
    """It ends a call from outside, as CancelledError and KeyboardInterrupt do."""


@pytest.mark.parametrize("failure", [RuntimeError, Cancelled])
@pytest.mark.parametrize("at", ["postgres.stage", "s3.put", "postgres.commit"])
async def test_a_failed_save_frees_its_key(harness: Harness, at: str, failure: type[BaseException]) -> None:
    """A save that fails or is cancelled abandons its write at once: no process has to wait for its lease."""
    calls, run = harness.repository(Call), await harness.run()

    def fail(name: str, phase: str) -> None:
        if (name, phase) == (at, "finished" if at == "postgres.stage" else "started"):
            raise failure

    with trace.listen(fail), steps() as seen, pytest.raises(failure):
        await calls.save(_call(run), idempotency_key="k")
    assert seen["postgres.abandon"] == 1
    assert harness.store._ports.unresolved.take(harness.tenant, "k") is None
    with steps() as seen:
        saved = await calls.save(_call(run), idempotency_key="k")
    assert (seen["postgres.abandon"], seen["sleep"]) == (0, 0)
    assert saved.version == 1


async def test_a_save_that_was_cancelled_after_its_commit_is_found(harness: Harness) -> None:
    """A cancelled save that turns out to be committed is returned by the next save of the object or key."""
    calls, run = harness.repository(Call), await harness.run()

    def fail(name: str, phase: str) -> None:
        if (name, phase) == ("postgres.commit", "finished"):
            raise Cancelled

    one, two = _call(run), _call(run)
    with trace.listen(fail):
        with pytest.raises(Cancelled):
            await calls.save(one)
        with pytest.raises(Cancelled):
            await calls.save(two, idempotency_key="k")
    assert (await calls.save(one)).version == 1
    assert (await calls.save(_call(run), idempotency_key="k")).ref_id == two.ref_id


async def test_an_iterator_is_compared_by_its_media_type(harness: Harness) -> None:
    """A repeat with an iterator of other bytes counts as the same request."""
    notes = harness.repository(Note)
    first = await notes.save(Note(title="t", content=Blob(iter([b"one"]))), idempotency_key="k")
    second = await notes.save(Note(title="t", content=Blob(iter([b"two"]))), idempotency_key="k")
    assert second.ref_id == first.ref_id
    assert await notes.read(second.ref_id, "content") == b"one"


async def test_an_object_of_a_replayed_save_is_not_saved_again(harness: Harness) -> None:
    """Saving the object whose save was replayed makes no second record; the same key replays once more."""
    runs, key = harness.repository(Run), "replayed"
    first = await runs.save(Run(name="once"), idempotency_key=key)
    again = Run(name="once")
    assert (await runs.save(again, idempotency_key=key)).ref_id == first.ref_id
    again.name = "edited"
    for save in (
        lambda: runs.save(again),
        lambda: runs.save(again, idempotency_key="another"),
        lambda: runs.save_many([again]),
        lambda: harness.work(lambda tx: tx.save(again)),
    ):
        with pytest.raises(UsageError, match=f"'replayed' has saved this Run before, as {first.ref_id}"):
            await save()
    again.name = "once"
    assert (await runs.save(again, idempotency_key=key)).ref_id == first.ref_id
    assert await runs.count() == 1
