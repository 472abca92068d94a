"""Wait for the socket while an exchange runs, by blocking (sync API) or on the event loop (async API)."""

from __future__ import annotations

import asyncio
import select
import time
from typing import Any, Protocol

from storekit.drivers.postgres.exchange import TimedOut, Waiting


class Pollable(Protocol):
    """What waiting needs of a connection: a pool's own or one that a caller lent."""

    readable: select.poll
    """Registered for reading when the connection opens, so that a trip does not have to."""

    def fileno(self) -> int: ...


def drive(waiting: Waiting, connection: Pollable, timeout: float) -> Any:
    """Block until the exchange has ended and return its results.

    Raises:
        TimedOut: the exchange took longer than `timeout` seconds.
        AnswerLost: the connection broke.
    """
    # One deadline for the whole exchange: a server that sends a byte now and then must not hold the caller.
    deadline = time.monotonic() + timeout
    try:
        while True:
            ready = _writable(connection) if next(waiting) else connection.readable
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimedOut(f"no answer within {timeout:g} s")
    except StopIteration as stop:
        return stop.value


def _writable(connection: Pollable) -> select.poll:
    # poll, not select: select fails for descriptors above 1023.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLOUT)
    return poll


async def drive_async(waiting: Waiting, connection: Pollable, timeout: float) -> Any:
    """Do what `drive` does without blocking the event loop."""
    loop = asyncio.get_running_loop()
    socket = connection.fileno()
    try:
        async with asyncio.timeout(timeout):
            while True:
                write = next(waiting)
                ready = loop.create_future()
                # Registered for one wait only: psycopg registers the same descriptor for the user's own SQL,
                # and a reader that stayed would spin while nobody waits.
                loop.add_reader(socket, _wake, ready)
                if write:
                    loop.add_writer(socket, _wake, ready)
                try:
                    await ready
                finally:
                    loop.remove_reader(socket)
                    if write:
                        loop.remove_writer(socket)
    except StopIteration as stop:
        return stop.value
    except TimeoutError as error:
        raise TimedOut(f"no answer within {timeout:g} s") from error


def _wake(ready: asyncio.Future[None]) -> None:
    # The socket can become readable and writable in the same turn of the loop.
    if not ready.done():
        ready.set_result(None)
