"""One record for each idempotency key, whatever is repeated."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from storekit import Blob, IdempotencyConflict, NotFound, trace
from tests.support.entities import Call, Note, Payload, Run
from tests.support.harness import Harness, steps, trips


def _call(run: Run, **values: Any) -> Call:
    return Call(
        run_id=run.id, **{"name": "x", "payload": Payload(q="x"), "transcript": Blob("# hi"), **values}
    )


async def test_a_repeat_answers_the_first_record(harness: Harness) -> None:
    """The same request under the same key gives a new object of the first record, and uploads nothing."""
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


async def test_a_repeat_without_parts_answers_the_first_record(harness: Harness) -> None:
    """A record of columns alone is replayed too, in one trip of commit and one of look-up."""
    runs = harness.repository(Run)
    first = await runs.save(Run(name="x"), idempotency_key="k")
    with steps() as seen:
        second = await runs.save(Run(name="x"), idempotency_key="k")
    assert trips(seen) == {"postgres.commit": 1, "postgres.select": 1}
    assert second.ref_id == first.ref_id


async def test_a_repeat_answers_the_current_version(harness: Harness) -> None:
    """A replayed object is the record as it is now, and can be changed and saved."""
    runs = harness.repository(Run)
    first = await runs.save(Run(name="x"), idempotency_key="k")
    await runs.update(first.ref_id, {"score": 5})
    second = await runs.save(Run(name="x"), idempotency_key="k")
    assert (second.score, second.version) == (5, 2)
    second.score = 6
    await runs.save(second)
    assert (await runs.get(first.ref_id)).score == 6


async def test_a_repeat_of_a_deleted_record_is_not_found(harness: Harness) -> None:
    """The key of a record that was deleted since makes no second one."""
    calls, run = harness.repository(Call), await harness.run()
    first = await calls.save(_call(run), idempotency_key="k")
    await calls.delete(first.ref_id)
    with pytest.raises(NotFound):
        await calls.save(_call(run), idempotency_key="k")


async def test_a_batch_is_replayed_in_order(harness: Harness) -> None:
    """The n-th record of a repeated list is the n-th of the first, whatever ids were minted."""
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
    """Another column, document or content under a used key is IdempotencyConflict, and saves nothing."""
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
    """A key whose save failed for good can be used at once, by the corrected request."""
    runs, calls = harness.repository(Run), harness.repository(Call)
    absent = Run(name="absent")
    with pytest.raises(Exception, match="calls_run_id_fk_aa57465f"):
        await calls.save(_call(absent), idempotency_key="k")
    await runs.save(absent)
    saved = await calls.save(_call(absent, name="corrected"), idempotency_key="k")
    assert saved.name == "corrected"


async def test_racing_saves_make_one_record(harness: Harness) -> None:
    """Many saves of one request at once under one key: one upload, one record, all get it."""
    calls, run = harness.repository(Call), await harness.run()
    with steps() as seen:
        saved = await asyncio.gather(*(calls.save(_call(run), idempotency_key="k") for _ in range(6)))
    assert len({each.ref_id for each in saved}) == 1
    assert (seen["s3.put"], seen["mongo.insert"]) == (1, 1)


async def test_a_dead_writers_key_is_taken_over_when_its_lease_is_over(harness: Harness) -> None:
    """A write that its process left staged holds the key until its lease ends; then the next one gets it."""
    calls, run = harness.repository(Call), await harness.run()
    dead = _call(run)

    class Killed(BaseException):
        pass

    def kill(name: str, phase: str) -> None:
        if name == "postgres.commit":
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
    """Make this process as ignorant of its former write as another one would be."""
    assert harness.store._ports.unresolved.take(harness.tenant, key)


async def test_the_same_process_takes_its_own_failed_write_back(harness: Harness) -> None:
    """A save that failed in mid-air is abandoned by the next with its key, without waiting for the lease."""
    calls, run = harness.repository(Call), await harness.run()

    def fail(name: str, phase: str) -> None:
        if name == "postgres.commit":
            raise RuntimeError("out of luck")

    with trace.listen(fail), pytest.raises(RuntimeError):
        await calls.save(_call(run), idempotency_key="k")
    with steps() as seen:
        saved = await calls.save(_call(run), idempotency_key="k")
    assert (seen["postgres.abandon"], seen["sleep"]) == (1, 0)
    assert saved.version == 1


async def test_content_that_is_read_once_counts_by_its_media_type(harness: Harness) -> None:
    """An iterator's bytes cannot be compared by another process, so a repeat with other bytes replays."""
    notes = harness.repository(Note)
    first = await notes.save(Note(title="t", content=Blob(iter([b"one"]))), idempotency_key="k")
    second = await notes.save(Note(title="t", content=Blob(iter([b"two"]))), idempotency_key="k")
    assert second.ref_id == first.ref_id
    assert await notes.read(second.ref_id, "content") == b"one"
