"""Many callers with the same idempotency keys: one upload and one record for each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from storekit import IdempotencyConflict, InProgress, Settings, Store
from storekit.testing.faults import Point, observe
from tests.faults.entities import Note, note, one_note
from tests.faults.rig import Rig
from tests.faults.writers import Writers
from tests.support.adapters import opened, save

_CALLERS = 12
_KEYS = [30, pytest.param(300, marks=pytest.mark.long)]

T = TypeVar("T")


def _at_once(work: Callable[[int], T]) -> list[T]:
    """Let twelve threads do the same work, within earshot of this one's listeners."""
    with ThreadPoolExecutor(_CALLERS) as threads:
        running = [threads.submit(copy_context().run, work, caller) for caller in range(_CALLERS)]
        return [each.result() for each in running]


@pytest.mark.parametrize("keys", _KEYS)
def test_twelve_threads_of_two_stores_racing_on_the_same_keys_upload_once_for_each(
    rig: Rig, keys: int
) -> None:
    """Whoever of many callers is first uploads; all get the one record of their key."""
    tenant = uuid4()
    with Store.open(rig.settings) as one, Store.open(rig.settings) as other, observe() as steps:

        def work(caller: int) -> list[str]:
            notes = (one, other)[caller % 2].scope(tenant=tenant, actor="agent:writer").repository(Note)
            return [notes.save(note(f"n{n}"), idempotency_key=f"k{n}").ref_id for n in range(keys)]

        answers = _at_once(work)
    assert all(answer == answers[0] for answer in answers)
    assert (steps.count("s3.put"), steps.count("mongo.insert")) == (keys, keys)
    _assert_once(rig, tenant, keys)


@pytest.mark.parametrize("keys", _KEYS)
async def test_twelve_tasks_racing_on_the_same_keys_upload_once_for_each(rig: Rig, keys: int) -> None:
    """As with threads, so with tasks of one event loop."""
    tenant = uuid4()
    async with opened("async", rig.settings) as store:

        async def work() -> list[str]:
            return [(await save(store, tenant, [note(f"n{n}")], f"k{n}"))[0].ref_id for n in range(keys)]

        with observe() as steps:
            answers = await asyncio.gather(*(work() for _ in range(_CALLERS)))
    assert all(answer == answers[0] for answer in answers)
    assert (steps.count("s3.put"), steps.count("mongo.insert")) == (keys, keys)
    _assert_once(rig, tenant, keys)


def _assert_once(rig: Rig, tenant: UUID, keys: int) -> None:
    assert rig.reader.whole_records(tenant) == keys
    assert rig.reader.stored(tenant) == (keys, keys)
    assert [rig.reader.writes(tenant, state) for state in ("pending", "committed", "aborted")] == [0, keys, 0]


def test_a_key_is_bound_to_the_request_that_came_first(rig: Rig) -> None:
    """Of two requests racing for a key one wins, and every caller of the other is told so."""
    tenant = uuid4()
    with Store.open(rig.settings) as store:
        notes = store.scope(tenant=tenant, actor="agent:writer").repository(Note)

        def work(caller: int) -> str | None:
            try:
                return notes.save(note("odd" if caller % 2 else "even"), idempotency_key="k").title
            except IdempotencyConflict:
                return None

        answers = _at_once(work)
    (winner,) = rig.reader.titles(tenant)
    assert answers == [winner if title == winner else None for title in ["even", "odd"] * (_CALLERS // 2)]
    assert rig.reader.whole_records(tenant) == 1
    assert rig.reader.stored(tenant) == (1, 1)


def test_one_of_many_callers_takes_over_from_a_dead_writer_and_leaves_its_bytes_alone(
    rig: Rig, writers: Writers
) -> None:
    """When a dead writer's lease is over one caller uploads afresh; the dead one's bytes are not touched."""
    tenant = _dead_writer(writers)
    with Store.open(rig.settings) as store, rig.clock.restored(), observe() as steps:
        rig.clock.move(rig.settings.lease + timedelta(seconds=1))
        notes = store.scope(tenant=tenant, actor="agent:writer").repository(Note)
        answers = _at_once(lambda _: notes.save(*one_note("one_note"), idempotency_key="key").ref_id)
    assert len(set(answers)) == 1
    assert steps.count("s3.put") == 1
    assert rig.reader.whole_records(tenant) == 1
    assert [rig.reader.writes(tenant, state) for state in ("pending", "committed", "aborted")] == [0, 1, 1]
    assert rig.reader.stored(tenant) == (2, 2)


def test_nobody_takes_over_while_the_lease_runs(rig: Rig, writers: Writers) -> None:
    """Until a writer's lease is over others wait as long as they are told to, then say InProgress."""
    tenant = _dead_writer(writers)
    with Store.open(_patient(rig.settings, timedelta(seconds=0.2))) as store, observe() as steps:
        notes = store.scope(tenant=tenant, actor="agent:writer").repository(Note)
        with pytest.raises(InProgress):
            notes.save(*one_note("one_note"), idempotency_key="key")
    assert steps.count("s3.put") == 0
    assert [rig.reader.writes(tenant, state) for state in ("pending", "aborted")] == [1, 0]


def _dead_writer(writers: Writers) -> UUID:
    """Leave a write behind that has all its bytes and no commit."""
    tenant = uuid4()
    assert writers.kill_at(Point("before", "postgres.commit", 1), "sync", "one_note", tenant, "key") == -9
    return tenant


def _patient(settings: Settings, wait: timedelta) -> Settings:
    return settings.model_copy(update={"idempotency_wait": wait})
