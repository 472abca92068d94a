"""psycopg's pool, with refusals told apart: a server that is away, or connections that are all busy."""

from __future__ import annotations

import asyncio
import logging
import os
from time import monotonic
from typing import Generic, TypeVar
from weakref import WeakSet

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, TooManyRequests

from storekit.drivers.postgres.connections import AsyncConnection, Connection, options
from storekit.drivers.postgres.door import Door
from storekit.errors import ConfigurationError, Unavailable, UsageError
from storekit.settings import Login, Settings

C = TypeVar("C", Connection, AsyncConnection)

_GLANCE = 0.1
"""Seconds after which who waits for the first connection looks whether the login was refused."""

# what the pool logs is for whoever configured logging: else Python would print it
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())


class _Pool(Generic[C]):
    """What both colours have in common."""

    def __init__(self, settings: Settings, login: Login) -> None:
        self.door = Door(settings, login)
        self.users: WeakSet[object] = WeakSet()
        self.closed = False
        self._size, self._queue = settings.pool_size, settings.pool_queue
        self._timeout, self._wait = settings.timeout.total_seconds(), settings.pool_wait.total_seconds()
        self._lent: set[C] = set()
        self._last_return = 0.0
        self._options = options(settings, self.door)

    def _patience(self, began: float) -> float:
        """Tell for how many seconds to wait before one looks again; raise if it is no use to wait longer."""
        busy = not self.door.failing and (self._lent or self._last_return > began)
        left = began + (self._wait if busy else self._timeout) - monotonic()
        if left <= 0:
            why = f"all {self._size} connections are busy and none came free within {self._wait:g} s"
            raise _exhausted(why) if busy else self.door.unreachable(self._timeout)
        return min(left, self._timeout if self.door.entered else _GLANCE)

    def _look(self, error: psycopg.OperationalError) -> None:
        """Raise what the pool refused for, unless that was the time of one look."""
        if self.closed or isinstance(error, PoolClosed):
            raise closed() from error
        if isinstance(error, TooManyRequests):
            raise _exhausted(
                f"the queue is full: at most {self._queue} calls wait for one of {self._size} connections"
            ) from error
        if refusal := self.door.refusal:
            raise ConfigurationError(refusal) from error

    def _lend(self, connection: C) -> bool:
        if connection.readable.poll(0):  # the server has hung up: an idle link has nothing to read
            connection.end()
            return False
        self._lent.add(connection)
        return True

    def _take_back(self, connection: C) -> bool:
        if connection.process != os.getpid():  # a forked child ends a task of its parent, which still speaks
            return False
        self._lent.discard(connection)
        self._last_return = monotonic()
        if self.closed or not connection.idle:  # the next borrower must not read this one's answers
            connection.end()
        return True


class Pool(_Pool[Connection]):
    """The synchronous colour."""

    def __init__(self, settings: Settings, login: Login) -> None:
        super().__init__(settings, login)
        self._pool = ConnectionPool(connection_class=Connection, open=True, **self._options)

    def take(self) -> Connection:
        """Lend a connection; give it back with `give_back`.

        Raises:
            Unavailable: the server cannot be reached, or all connections are busy.
            ConfigurationError: the server refuses the login, or is refused.
        """
        began = monotonic()
        while True:
            try:
                connection = self._pool.getconn(self._patience(began))
            except psycopg.OperationalError as error:
                self._look(error)
                continue
            if self._lend(connection):
                return connection
            self._pool.putconn(connection)

    def give_back(self, connection: Connection) -> None:
        """Take a connection back; one that is in the midst of anything is closed."""
        if self._take_back(connection):
            self._pool.putconn(connection)

    def close(self) -> None:
        """Close what is idle now, and what is lent when it is given back."""
        self._pool.close()


class AsyncPool(_Pool[AsyncConnection]):
    """The asynchronous colour, of one event loop."""

    def __init__(self, settings: Settings, login: Login, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(settings, login)
        self._loop = loop
        self._pool = AsyncConnectionPool(connection_class=AsyncConnection, open=False, **self._options)

    async def take(self) -> AsyncConnection:
        """As `Pool.take`, awaited."""
        began = monotonic()
        while True:
            try:
                if not self.closed:
                    await self._pool.open()
                connection = await self._pool.getconn(self._patience(began))
            except psycopg.OperationalError as error:
                self._look(error)
                continue
            if self._lend(connection):
                return connection
            await asyncio.shield(self._pool.putconn(connection))

    def give_back(self, connection: AsyncConnection) -> asyncio.Future[None]:
        """As `Pool.give_back`; it goes to its end, awaited or not."""
        if self._take_back(connection) and not self._loop.is_closed():
            return asyncio.shield(self._loop.create_task(self._pool.putconn(connection)))
        done = self._loop.create_future()
        done.set_result(None)
        return done

    async def close(self) -> None:
        """As `Pool.close`, from any thread; the connections of a loop that is over go with it."""
        if self._loop is asyncio.get_running_loop():
            await self._pool.close()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._pool.close()))


def _exhausted(why: str) -> Unavailable:
    return Unavailable("postgres", f"{why}; raise POSTGRES_POOL_SIZE or shorten units of work")


def closed() -> UsageError:
    """Say that nothing is lent any more."""
    return UsageError("the store is closed; use it inside its with block")
