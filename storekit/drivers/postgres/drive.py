"""Wait for the socket during an exchange: by blocking (sync API) or on the event loop (async API)."""

from __future__ import annotations

import asyncio
import select
import time
from typing import Any, Protocol

from storekit.drivers.postgres.exchange import TimedOut, Waiting


class Pollable(Protocol):
    """The attributes of a connection that waiting needs, whether it is from a pool or from the caller."""

    readable: select.poll
    """Registered for reading when the connection is opened, not again for each trip."""

    def fileno(self) -> int: ...


def drive(waiting: Waiting, connection: Pollable, timeout: float) -> Any:
    """Block until the exchange has ended and return its results.

    Raises:
        TimedOut: the exchange took longer than `timeout` seconds.
        AnswerLost: the connection broke.
    """
    # One deadline for the whole exchange, so that a server that sends a byte now and then cannot block the
    # caller.
    deadline = time.monotonic() + timeout
    try:
        while True:
            ready = _writable(connection) if next(waiting) else connection.readable
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimedOut(timeout)
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
                # Registered for one wait only: psycopg registers the same descriptor for the SQL of the user,
                # and a reader that stays registered would be called in a loop while nothing waits.
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
        raise TimedOut(timeout) from error


def _wake(ready: asyncio.Future[None]) -> None:
    # The socket can become readable and writable in the same turn of the loop.
    if not ready.done():
        ready.set_result(None)
