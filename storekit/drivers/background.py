"""Work beside the program of the user: in a thread for the sync API, in a task for the async one."""

from __future__ import annotations

import asyncio
import threading
from contextvars import Context
from datetime import timedelta

from storekit.bridge import run
from storekit.ports.stores import Job


class BackgroundThread:
    """A thread that works until it is stopped. It does not keep the process alive."""

    def __init__(self, job: Job) -> None:
        self._wake, self._stopped = threading.Event(), False
        self._thread = threading.Thread(
            target=lambda: run(job(self._pause, lambda: self._stopped)), name="storekit-relay", daemon=True
        )
        self._thread.start()

    async def _pause(self, delay: timedelta) -> None:
        self._wake.wait(delay.total_seconds())
        self._wake.clear()

    def wake(self) -> None:
        """End the present pause, or the next one."""
        self._wake.set()

    async def stop(self) -> None:
        """Stop, and wait for the end of what it is doing."""
        self._stopped = True
        self._wake.set()
        self._thread.join()


class BackgroundTask:
    """A task of the running event loop that works until it is stopped."""

    def __init__(self, job: Job) -> None:
        self._wake, self._stopped = asyncio.Event(), False
        self._loop = asyncio.get_running_loop()
        # not in the context of the caller: its listeners hear of its own calls only
        work = job(self._pause, lambda: self._stopped)
        self._task = self._loop.create_task(work, name="storekit-relay", context=Context())

    async def _pause(self, delay: timedelta) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), delay.total_seconds())
        except TimeoutError:
            return
        self._wake.clear()

    def wake(self) -> None:
        """End the present pause, or the next one. The caller may be in another event loop."""
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 the public form raises without a loop
            self._wake.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def stop(self) -> None:
        """Stop, and wait for the end of what it is doing."""
        self._stopped = True
        self.wake()
        if not self._loop.is_closed() and asyncio.get_running_loop() is self._loop:
            await asyncio.wait([self._task])
