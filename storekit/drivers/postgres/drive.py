"""How each colour waits for a socket while an exchange goes on."""

from __future__ import annotations

import asyncio
import select
import time
from typing import Any, Protocol

from storekit.drivers.postgres.exchange import Waiting
from storekit.ports.stores import AnswerLost


class Link(Protocol):
    """An open connection to a server, as far as waiting for its socket needs it."""

    readable: select.poll
    """Polls the socket for input; made once for each connection, as each statement waits on it."""

    def fileno(self) -> int:
        """Return the file descriptor of the socket."""
        ...


def drive(waiting: Waiting, connection: Link, timeout: float) -> Any:
    """Block until the exchange is over.

    Raises:
        AnswerLost: it took longer than `timeout` seconds, or the link broke.
    """
    deadline = time.monotonic() + timeout
    try:
        while True:
            ready = _writable(connection) if next(waiting) else connection.readable
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise AnswerLost(f"no answer within {timeout:g} s")
    except StopIteration as stop:
        return stop.value


def _writable(connection: Link) -> select.poll:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLOUT)
    return poll


async def drive_async(waiting: Waiting, connection: Link, timeout: float) -> Any:
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
        raise AnswerLost(f"no answer within {timeout:g} s") from error


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
