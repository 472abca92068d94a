"""A task that is cancelled at any step leaves nothing visible, or a committed record that a retry finds."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import IO, Any, cast
from uuid import uuid4

import pytest

from storekit import AsyncStore, Blob
from storekit.testing.faults import Point, at, observe
from tests.faults.entities import REQUESTS, Details, Note, Saved
from tests.faults.servers import Servers, ignore_pymongo_socket
from tests.support.adapters import save

pytestmark = pytest.mark.usefixtures("cancelled_sockets")


@asynccontextmanager
async def _healthy_store(servers: Servers) -> AsyncIterator[AsyncStore]:
    """Open a store with one connection, and check at the end that no task and no error is left."""
    loop, unhandled = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    ignore_pymongo_socket(servers)
    async with AsyncStore.open(servers.settings.model_copy(update={"pool_size": 1})) as store:
        await save(store, uuid4(), REQUESTS["three_notes"]("warm"))
        before = asyncio.all_tasks()
        yield store
        assert not [task for task in asyncio.all_tasks() - before if not _is_monitor(task)]
    gc.collect()  # an exception that was never retrieved is logged when its task is collected
    assert unhandled == []


def _is_monitor(task: asyncio.Task[Any]) -> bool:
    """Return whether it is a task with which pymongo reads the state of the server every 10 seconds."""
    return "PyMongoProtocol" in repr(task.get_coro())


@pytest.mark.parametrize("request_", REQUESTS)
async def test_cancelling_at_any_step(servers: Servers, request_: str) -> None:
    """A cancelled save is invisible or committed; saving again, by object or by key, gives one record."""
    async with _healthy_store(servers) as store:
        with observe() as steps:
            await save(store, uuid4(), REQUESTS[request_](request_))
        for point in steps.seen:
            objects = REQUESTS[request_](request_)
            await _cancel_and_repeat(servers, store, objects, objects, None, point)
            await _cancel_and_repeat(
                servers, store, REQUESTS[request_](request_), REQUESTS[request_](request_), "key", point
            )


async def _cancel_and_repeat(
    servers: Servers, store: AsyncStore, first: Saved, again: Saved, key: str | None, point: Point
) -> None:
    tenant = uuid4()
    await _cancel_at(point, save(store, tenant, first, key))
    assert servers.reader.complete_records(tenant) in {0, len(first)}, point

    with observe() as steps:
        await save(store, tenant, again, key)

    assert not steps.count("sleep"), point
    assert servers.reader.complete_records(tenant) == len(first), point
    assert servers.reader.writes(tenant, "pending") == 0, point


async def _cancel_at(point: Point, saving: Coroutine[Any, Any, object]) -> None:
    def cancel() -> None:
        task.cancel()

    with at(point, cancel) as steps:
        task = asyncio.create_task(saving)
        with pytest.raises(asyncio.CancelledError):
            await task
    assert steps.hit, point


class _WatchedFile(io.RawIOBase):
    """A file that calls a hook before each read and fails if it is read after it was closed."""

    def __init__(self, before_read: Callable[[int], None]) -> None:
        self._content = io.BytesIO(b"x" * 700_000)
        self.reads = 0
        self.read_when_closed = False
        self._before_read = before_read

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        self._before_read(self.reads)
        self.read_when_closed |= self.closed
        return self._content.read(size)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()


def _note(file: _WatchedFile) -> Note:
    return Note(title="file", details=Details(text="details of file"), content=Blob(cast("IO[bytes]", file)))


async def test_a_cancelled_save_waits_for_threads_that_read_its_file(servers: Servers) -> None:
    """A file can be closed right after its save was cancelled, even twice, while a thread was reading it."""
    others = set(threading.enumerate())
    async with _healthy_store(servers) as store:
        whole = _WatchedFile(lambda _: None)
        await save(store, uuid4(), [_note(whole)])
        assert whole.reads > 1, "the file is read in pieces"
        files = [await _cancelled_in_read(store, read) for read in range(1, whole.reads + 1)]
    for thread in set(threading.enumerate()) - others:
        if thread.name.startswith("storekit"):
            thread.join()
    assert not any(file.read_when_closed for file in files)


async def _cancelled_in_read(store: AsyncStore, cancelled_read: int) -> _WatchedFile:
    loop, ended_in_read = asyncio.get_running_loop(), list[bool]()

    async def cancel_twice() -> None:
        for _ in range(2):
            task.cancel()
            for _ in range(20):  # let the loop run, so that the task could end while the thread still reads
                await asyncio.sleep(0)
        ended_in_read.append(task.done())

    def before_read(read: int) -> None:
        if read == cancelled_read:
            asyncio.run_coroutine_threadsafe(cancel_twice(), loop).result()

    file = _WatchedFile(before_read)
    task = asyncio.create_task(save(store, uuid4(), [_note(file)]))
    with suppress(asyncio.CancelledError):
        await task
    file.close()
    assert ended_in_read == [False], f"the save had returned during read {cancelled_read}"
    return file


async def test_many_cancelled_saves_leak_nothing(servers: Servers) -> None:
    """After 100 cancelled saves a store with one connection still works."""
    tenant = uuid4()
    async with _healthy_store(servers) as store:
        for n in range(100):
            point = Point("before", "postgres.commit" if n % 2 else "postgres.stage", 1)
            await _cancel_at(point, save(store, tenant, REQUESTS["one_note"](f"cancelled {n}")))
        await save(store, tenant, REQUESTS["one_run"]("served"))
    assert "served" in servers.reader.titles(tenant)
