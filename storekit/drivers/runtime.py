"""The runtime port: threads for the sync API, tasks for the async API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from storekit.bridge import run
from storekit.drivers.background import BackgroundTask, BackgroundThread
from storekit.ports.stores import Job

T = TypeVar("T")
Put = Callable[[], Awaitable[T]]


class ThreadRuntime:
    """The runtime of the sync API. Each put of a wave runs to its end in a thread of a bounded pool."""

    def __init__(self, max_puts: int) -> None:
        self._pool = ThreadPoolExecutor(max_puts, thread_name_prefix="storekit")

    async def wave(
        self,
        puts: Sequence[Put[T]],
        renew: Callable[[], Awaitable[None]],
        every: timedelta,
        on_done: Callable[[T], None] = lambda _: None,
    ) -> list[T]:
        # The waiting thread renews the lease, because the threads of the puts block on their sockets.
        futures = [self._pool.submit(copy_context().run, _drive, put) for put in puts]
        ended: SimpleQueue[Future[T]] = SimpleQueue()
        for future in futures:
            future.add_done_callback(ended.put)  # so that on_done runs in the caller's thread
        try:
            left, due = len(futures), time.monotonic() + every.total_seconds()
            while left:
                try:
                    future = ended.get(timeout=max(0.0, due - time.monotonic()))
                except Empty:
                    await renew()
                    due = time.monotonic() + every.total_seconds()
                    continue
                if future.exception():
                    break
                left -= 1
                on_done(future.result())
        finally:
            # A put that has started may be reading the caller's file, and cannot be stopped: wait for it, so
            # that no thread reads a file that the caller has closed meanwhile.
            for future in futures:
                future.cancel()
            wait(futures)
        return _results(futures)

    async def blocking(self, work: Callable[[], T]) -> T:
        return work()

    async def sleep(self, delay: timedelta) -> None:
        time.sleep(delay.total_seconds())

    def background(self, job: Job) -> BackgroundThread:
        return BackgroundThread(job)

    async def close(self) -> None:
        self._pool.shutdown()


class TaskRuntime:
    """The runtime of the async API. Puts are tasks; blocking clients such as the S3 driver run in threads."""

    def __init__(self, max_puts: int) -> None:
        self._pool = ThreadPoolExecutor(max_puts, thread_name_prefix="storekit")
        self._max_puts = max_puts
        # an async put, such as one to MongoDB, takes no thread of the pool; a semaphore belongs to one loop
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def wave(
        self,
        puts: Sequence[Put[T]],
        renew: Callable[[], Awaitable[None]],
        every: timedelta,
        on_done: Callable[[T], None] = lambda _: None,
    ) -> list[T]:
        slots = self._slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self._max_puts))
        tasks = [asyncio.create_task(_one(put, on_done, slots)) for put in puts]
        try:
            while True:
                seconds = every.total_seconds()
                done, pending = await asyncio.wait(
                    tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION
                )
                if not pending or any(task.exception() for task in done):
                    break
                await renew()
        finally:
            for task in tasks:
                task.cancel()
            await _wait_for_all(tasks)
        return _results(tasks)

    async def blocking(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, partial(copy_context().run, work))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # The thread cannot be stopped and may be reading the caller's file: wait for it before leaving.
            await _wait_for_all([future])
            raise

    async def sleep(self, delay: timedelta) -> None:
        await asyncio.sleep(delay.total_seconds())

    def background(self, job: Job) -> BackgroundTask:
        return BackgroundTask(job)

    async def close(self) -> None:
        self._pool.shutdown(wait=False)


async def _one(put: Put[T], on_done: Callable[[T], None], slots: asyncio.Semaphore) -> T:
    async with slots:
        done = await put()
    on_done(done)
    return done


async def _wait_for_all(futures: Sequence[asyncio.Future[Any]]) -> None:
    """Wait until all have ended, even if this task is cancelled meanwhile, then raise that cancellation.

    A single `await` is not enough: a second cancellation, for example by a time-out around a cancelled task,
    would end it.
    """
    cancelled: asyncio.CancelledError | None = None
    while pending := [future for future in futures if not future.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            cancelled = error
    for future in futures:
        if not future.cancelled():
            # Only the first error is raised; asyncio logs each one that was never retrieved.
            future.exception()
    if cancelled:
        raise cancelled


def _drive(put: Put[T]) -> T:
    flow: Coroutine[Any, Any, T] = put()  # type: ignore[assignment]  # puts are coroutine functions
    return run(flow)


def _results(ended: Sequence[Future[T]] | Sequence[asyncio.Task[T]]) -> list[T]:
    """Return all results, or raise the first failure rather than the cancellations that it caused."""
    for each in ended:
        if not each.cancelled() and (error := each.exception()):
            raise error
    return [each.result() for each in ended]
