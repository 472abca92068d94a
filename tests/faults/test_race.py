"""Many callers that use the same idempotency keys cause one upload and one record per key."""

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
from tests.faults.servers import Servers
from tests.faults.writers import Writers
from tests.support.adapters import opened, save

_CALLERS = 12
_KEYS = [30, pytest.param(300, marks=pytest.mark.long)]

T = TypeVar("T")


def _at_once(work: Callable[[int], T]) -> list[T]:
    """Run the same work in twelve threads, with this thread's listeners."""
    with ThreadPoolExecutor(_CALLERS) as threads:
        running = [threads.submit(copy_context().run, work, caller) for caller in range(_CALLERS)]
        return [each.result() for each in running]


@pytest.mark.parametrize("keys", _KEYS)
def test_threads_with_the_same_keys_upload_once(servers: Servers, keys: int) -> None:
    """One of many callers uploads; all of them get the one record of their key."""
    tenant = uuid4()
    with Store.open(servers.settings) as one, Store.open(servers.settings) as other, observe() as steps:

        def work(caller: int) -> list[str]:
            notes = (one, other)[caller % 2].scope(tenant=tenant, actor="agent:writer").repository(Note)
            return [notes.save(note(f"n{n}"), idempotency_key=f"k{n}").ref_id for n in range(keys)]

        results = _at_once(work)
    assert all(result == results[0] for result in results)
    assert (steps.count("s3.put"), steps.count("mongo.insert")) == (keys, keys)
    _assert_once(servers, tenant, keys)


@pytest.mark.parametrize("keys", _KEYS)
async def test_tasks_with_the_same_keys_upload_once(servers: Servers, keys: int) -> None:
    """The same rule holds for tasks of one event loop."""
    tenant = uuid4()
    async with opened("async", servers.settings) as store:

        async def work() -> list[str]:
            return [(await save(store, tenant, [note(f"n{n}")], f"k{n}"))[0].ref_id for n in range(keys)]

        with observe() as steps:
            results = await asyncio.gather(*(work() for _ in range(_CALLERS)))
    assert all(result == results[0] for result in results)
    assert (steps.count("s3.put"), steps.count("mongo.insert")) == (keys, keys)
    _assert_once(servers, tenant, keys)


def _assert_once(servers: Servers, tenant: UUID, keys: int) -> None:
    assert servers.reader.complete_records(tenant) == keys
    assert servers.reader.stored(tenant) == (keys, keys)
    assert [servers.reader.writes(tenant, state) for state in ("pending", "committed", "aborted")] == [
        0,
        keys,
        0,
    ]


def test_a_key_belongs_to_the_first_request(servers: Servers) -> None:
    """Of two requests that race for a key one wins, and every caller of the other gets an error."""
    tenant = uuid4()
    with Store.open(servers.settings) as store:
        notes = store.scope(tenant=tenant, actor="agent:writer").repository(Note)

        def work(caller: int) -> str | None:
            try:
                return notes.save(note("odd" if caller % 2 else "even"), idempotency_key="k").title
            except IdempotencyConflict:
                return None

        results = _at_once(work)
    (winner,) = servers.reader.titles(tenant)
    assert results == [winner if title == winner else None for title in ["even", "odd"] * (_CALLERS // 2)]
    assert servers.reader.complete_records(tenant) == 1
    assert servers.reader.stored(tenant) == (1, 1)


def test_one_caller_takes_over_from_a_dead_writer(servers: Servers, writers: Writers) -> None:
    """After the lease of a dead writer expires, one caller uploads again; the dead writer's bytes stay."""
    tenant = _killed_writer(writers)
    with Store.open(servers.settings) as store, servers.clock.restored(), observe() as steps:
        servers.clock.move(servers.settings.lease + timedelta(seconds=1))
        notes = store.scope(tenant=tenant, actor="agent:writer").repository(Note)
        results = _at_once(lambda _: notes.save(*one_note("one_note"), idempotency_key="key").ref_id)
    assert len(set(results)) == 1
    assert steps.count("s3.put") == 1
    assert servers.reader.complete_records(tenant) == 1
    assert [servers.reader.writes(tenant, state) for state in ("pending", "committed", "aborted")] == [
        0,
        1,
        1,
    ]
    assert servers.reader.stored(tenant) == (2, 2)


def test_a_running_lease_is_not_taken_over(servers: Servers, writers: Writers) -> None:
    """Other callers wait for the lease up to their time-out, then raise InProgress."""
    tenant = _killed_writer(writers)
    with Store.open(_long_wait(servers.settings, timedelta(seconds=0.2))) as store, observe() as steps:
        notes = store.scope(tenant=tenant, actor="agent:writer").repository(Note)
        with pytest.raises(InProgress):
            notes.save(*one_note("one_note"), idempotency_key="key")
    assert steps.count("s3.put") == 0
    assert [servers.reader.writes(tenant, state) for state in ("pending", "aborted")] == [1, 0]


def _killed_writer(writers: Writers) -> UUID:
    """Create a write that uploaded all its bytes and never committed."""
    tenant = uuid4()
    assert writers.kill_at(Point("before", "postgres.commit", 1), "sync", "one_note", tenant, "key") == -9
    return tenant


def _long_wait(settings: Settings, wait: timedelta) -> Settings:
    return settings.model_copy(update={"idempotency_wait": wait})
