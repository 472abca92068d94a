"""The memory stores, for tests of users."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

import pytest

from storekit import (
    Blob,
    ConfigurationError,
    Entity,
    Expired,
    InProgress,
    Mutable,
    Settings,
    blob,
    document,
    moves,
    trace,
)
from storekit.testing import Memory, async_memory_store, memory_store
from tests.support.entities import Note, Remark, Run

TENANT = uuid4()


def test_each_store_is_empty_at_first() -> None:
    """Two memory stores share nothing unless they share a memory."""
    one, other = memory_store(Note), memory_store(Note)
    note = one.scope(tenant=TENANT, actor="t").repository(Note).save(Note(title="t", content=Blob("c")))
    assert other.scope(tenant=TENANT, actor="t").repository(Note).urls([note.ref_id], "content") == {}


async def test_sync_and_async_stores_may_share_a_memory() -> None:
    """A sync and an async store on one memory read each other's records."""
    memory = Memory()
    with memory_store(Note, memory=memory) as store:
        note = store.scope(tenant=TENANT, actor="t").repository(Note).save(Note(title="t", content=Blob("c")))
    async with async_memory_store(Note, memory=memory) as other:
        notes = other.scope(tenant=TENANT, actor="t").repository(Note)
        assert await notes.read(note.ref_id, "content") == b"c"


def test_urls_expire_by_the_clock_of_the_memory() -> None:
    """A URL serves the content until its expiry, and 403 later or if the URL was changed."""
    memory = Memory()
    notes = memory_store(Note, memory=memory).scope(tenant=TENANT, actor="t").repository(Note)
    note = notes.save(Note(title="t", content=Blob("c")))
    url = notes.url(note.ref_id, "content", expires_in=60)
    memory.move_clock(timedelta(seconds=50))
    assert (memory.fetch(url).status, memory.fetch(url).body) == (200, b"c")
    assert memory.fetch(url.replace("expires=2", "expires=3")).status == 403
    memory.move_clock(timedelta(seconds=70))
    assert memory.fetch(url).status == 403


def test_an_undeclared_class_is_refused() -> None:
    """A class that was not passed to the store has no table, and the error says how to add it."""
    runs = memory_store(Note).scope(tenant=TENANT, actor="t").repository(Run)
    with pytest.raises(ConfigurationError, match="memory_store"):
        runs.save(Run(name="x"))
    with pytest.raises(ConfigurationError, match="memory_store"):
        runs.get(Run(name="x").ref_id)


def test_a_reference_to_an_undeclared_class_is_refused() -> None:
    """A row cannot refer to a table that does not exist."""
    remarks = memory_store(Remark).scope(tenant=TENANT, actor="t").repository(Remark)
    with pytest.raises(Exception, match="remarks_report_id_fk_f89a319a"):
        remarks.save(Remark(report_id=uuid4(), text="x"))


def test_threads_may_share_a_store() -> None:
    """Concurrent saves with one key in many threads make one record, and all return it."""
    notes = memory_store(Note).scope(tenant=TENANT, actor="t").repository(Note)

    def save(i: int) -> str:
        return notes.save(Note(title=f"n{i % 5}", content=Blob("c")), idempotency_key=f"k{i % 5}").ref_id

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(save, range(40)))) == 5


def test_a_save_raises_in_progress_after_waiting_for_a_key() -> None:
    """A save that waits too long for another with its key raises InProgress, which is retryable."""
    limits = Settings.model_validate({"idempotency_wait": timedelta(0)})
    memory = Memory()
    first, second = [
        memory_store(Note, memory=memory, settings=limits).scope(tenant=TENANT, actor="t").repository(Note)
        for _ in range(2)
    ]

    def stop(name: str, phase: str) -> None:
        if name in {"postgres.commit", "postgres.abandon"}:  # as a process that is killed
            raise KeyboardInterrupt

    with trace.listen(stop), pytest.raises(KeyboardInterrupt):
        first.save(Note(title="t", content=Blob("c")), idempotency_key="k")
    with pytest.raises(InProgress) as caught:
        second.save(Note(title="t", content=Blob("c")), idempotency_key="k")
    assert caught.value.retryable


class Stage(StrEnum):
    NEW = "new"
    DONE = "done"


class Job(Entity, Mutable, table="jobs"):
    name: str
    state: Annotated[Stage, moves({Stage.NEW: [Stage.DONE]})] = Stage.NEW
    log: Annotated[dict[str, Any] | Expired | None, document(collection="logs", ttl=timedelta(days=30))] = (
        None
    )
    text: Annotated[Blob | None, blob()] = None


def test_writes_work_after_the_clock_was_moved() -> None:
    """After the clock was moved by 31 days, and back, a record can be saved, updated and moved to a state."""
    memory = Memory()
    jobs = memory_store(Job, memory=memory).scope(tenant=TENANT, actor="t").repository(Job)
    old = jobs.save(Job(name="old", log={"a": 1}))
    for ahead in (timedelta(days=31), timedelta()):
        memory.move_clock(ahead)
        job = jobs.save(Job(name="new", log={"a": 2}, text=Blob("c")), idempotency_key=f"after {ahead}")
        jobs.update(job.ref_id, {"name": "newer"})
        jobs.transition(job.ref_id, Stage.DONE)
        assert (jobs.get(job.ref_id).name, jobs.get(job.ref_id).state) == ("newer", Stage.DONE)
        assert isinstance(jobs.get(old.ref_id, load=["log"]).log, Expired) is (ahead > timedelta(days=30))
        assert jobs.read(job.ref_id, "text") == b"c"
