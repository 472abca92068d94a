"""How each colour waits for a socket while an exchange goes on."""

from __future__ import annotations

import asyncio
import select
import time
from typing import TYPE_CHECKING, Any

from storekit.drivers.postgres.exchange import TimedOut, Waiting

if TYPE_CHECKING:
    from storekit.drivers.postgres.connections import AsyncConnection, Connection


def drive(waiting: Waiting, connection: Connection, timeout: float) -> Any:
    """Block until the exchange is over.

    Raises:
        TimedOut: it took longer than `timeout` seconds.
        AnswerLost: the link broke.
    """
    deadline = time.monotonic() + timeout
    try:
        while True:
            ready = _writable(connection) if next(waiting) else connection.readable
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimedOut(f"no answer within {timeout:g} s")
    except StopIteration as stop:
        return stop.value


def _writable(connection: Connection) -> select.poll:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLOUT)
    return poll


async def drive_async(waiting: Waiting, connection: AsyncConnection, timeout: float) -> Any:
    """As `drive`, and the loop goes on."""
    loop = asyncio.get_running_loop()
    socket = connection.fileno()
    try:
        async with asyncio.timeout(timeout):
            while True:
                write = next(waiting)
                ready = loop.create_future()
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
    if not ready.done():
        ready.set_result(None)
