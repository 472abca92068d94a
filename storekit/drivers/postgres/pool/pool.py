"""psycopg's pool, with distinct errors for an unreachable server, a refused login and an exhausted pool.

psycopg's pool raises `PoolTimeout` for all three. The caller needs to know which one it is: waiting does not
help against a wrong password, and a busy pool needs more connections, not a check of the network.
"""

from __future__ import annotations

import asyncio
import logging
import os
from time import monotonic
from typing import Generic, TypeVar
from weakref import WeakSet

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, TooManyRequests

from storekit.drivers.postgres.pool.connections import AsyncConnection, Connection, options
from storekit.drivers.postgres.pool.endpoint import Endpoint
from storekit.errors import ConfigurationError, Unavailable, UsageError
from storekit.settings import Login, Settings

C = TypeVar("C", Connection, AsyncConnection)

_FIRST_CHECK = 0.1
"""Seconds between two checks for a rejected login, until the first connection is made.

The pool of psycopg connects in a background thread and retries, so only the endpoint knows of a rejected
login.
"""

# Without a handler Python prints the pool's warnings to stderr of applications that never set up logging.
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())


class _Pool(Generic[C]):
    """The state and decisions that the sync and the async pool share."""

    def __init__(self, settings: Settings, login: Login) -> None:
        self.endpoint = Endpoint(settings, login)
        self.users: WeakSet[object] = WeakSet()
        self.closed = False
        self._size, self._queue = settings.pool_size, settings.pool_queue
        self._timeout, self._wait = settings.timeout.total_seconds(), settings.pool_wait.total_seconds()
        self._lent: set[C] = set()
        self._last_return = 0.0
        self._options = options(settings, self.endpoint)

    def _patience(self, began: float) -> float:
        """Return how many seconds to wait before the next check.

        `pool_wait` applies while connections are in use, and `timeout` while there are none: an unreachable
        server must fail fast although a busy pool may keep its callers waiting for longer.

        Raises:
            Unavailable: the time has elapsed.
        """
        # A pool without connections in use is not busy, unless a connection was returned since this caller
        # began to wait: other callers took it first.
        busy = not self.endpoint.failing and (self._lent or self._last_return > began)
        left = began + (self._wait if busy else self._timeout) - monotonic()
        if left <= 0:
            why = f"all {self._size} connections are busy and none was returned within {self._wait:g} s"
            limit = "pool_wait (POSTGRES_POOL_WAIT)"
            raise _exhausted(why, limit) if busy else self.endpoint.unreachable(self._timeout)
        return min(left, self._timeout if self.endpoint.accepted else _FIRST_CHECK)

    def _raise_final(self, error: psycopg.OperationalError) -> None:
        """Raise the error if waiting longer cannot help; return if only the time of one check has elapsed."""
        if self.closed or isinstance(error, PoolClosed):
            raise closed() from error
        if isinstance(error, TooManyRequests):
            raise _exhausted(
                f"the queue is full: at most {self._queue} calls wait for one of {self._size} connections",
                "pool_queue (POSTGRES_POOL_QUEUE)",
            ) from error
        if refusal := self.endpoint.refusal:
            raise ConfigurationError(refusal, detail=self.endpoint.place) from error

    def _lend(self, connection: C) -> bool:
        # An idle connection has nothing to read, so a readable socket means that the server closed it. A
        # statement sent on it would raise AnswerLost, and the outcome of a write would be unknown.
        if connection.readable.poll(0):
            connection.end()
            return False
        self._lent.add(connection)
        return True

    def _take_back(self, connection: C) -> bool:
        # A forked child may unwind a call of its parent, which still uses the socket.
        if connection.process != os.getpid():
            return False
        self._lent.discard(connection)
        self._last_return = monotonic()
        if self.closed or not connection.idle:  # the next caller must not read this one's results
            connection.end()
        return True


class Pool(_Pool[Connection]):
    """The pool of the sync API."""

    def __init__(self, settings: Settings, login: Login) -> None:
        super().__init__(settings, login)
        self._pool = ConnectionPool(connection_class=Connection, open=True, **self._options)

    def take(self) -> Connection:
        """Take a connection; the caller must return it with `give_back`.

        Raises:
            Unavailable: the server cannot be reached, or all connections are busy.
            ConfigurationError: the server refused the login, or storekit refused the login or the server.
        """
        began = monotonic()
        while True:
            try:
                connection = self._pool.getconn(self._patience(began))
            except psycopg.OperationalError as error:
                self._raise_final(error)
                continue
            if self._lend(connection):
                return connection
            self._pool.putconn(connection)  # closed: the pool drops it and opens another

    def give_back(self, connection: Connection) -> None:
        """Return a connection to the pool; it is closed if it has an open transaction or pipeline."""
        if self._take_back(connection):
            self._pool.putconn(connection)

    def close(self) -> None:
        """Close idle connections now, and connections in use when they are given back."""
        self._pool.close()


class AsyncPool(_Pool[AsyncConnection]):
    """The pool of one event loop, for the async API."""

    def __init__(self, settings: Settings, login: Login, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(settings, login)
        self._loop = loop
        made = self._made = WeakSet[AsyncConnection]()

        async def remember(connection: AsyncConnection) -> None:
            made.add(connection)  # the set alone: a reference to the pool would keep a forgotten pool alive

        self._pool = AsyncConnectionPool(
            connection_class=AsyncConnection, configure=remember, open=False, **self._options
        )

    async def take(self) -> AsyncConnection:
        """Take a connection, as `Pool.take` does."""
        began = monotonic()
        while True:
            try:
                if not self.closed:  # psycopg opens a pool in its event loop only, so not in __init__
                    await self._pool.open()
                connection = await self._pool.getconn(self._patience(began))
            except psycopg.OperationalError as error:
                self._raise_final(error)
                continue
            if self._lend(connection):
                return connection
            # Shielded: if the caller were cancelled here, the pool would never get the connection back.
            await asyncio.shield(self._pool.putconn(connection))

    def give_back(self, connection: AsyncConnection) -> asyncio.Future[None]:
        """Return a connection, as `Pool.give_back` does. It completes even if it is not awaited."""
        if self._take_back(connection) and not self._loop.is_closed():
            return asyncio.shield(self._loop.create_task(self._pool.putconn(connection)))
        done = self._loop.create_future()
        done.set_result(None)
        return done

    async def close(self) -> None:
        """Close, as `Pool.close` does, from any thread."""
        if self._loop is asyncio.get_running_loop():
            await self._pool.close()
        elif self._loop.is_closed():
            self.end()
        else:
            self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._pool.close()))

    def end(self) -> None:
        """Close the connections of a closed event loop, in which nothing can be awaited any more.

        The pool is part of reference cycles, so without this the server would keep the connections until
        Python's next garbage collection, which an idle process may never run.
        """
        for connection in tuple(self._made):
            connection.end()


def _exhausted(why: str, limit: str) -> Unavailable:
    remedy = f"raise pool_size (POSTGRES_POOL_SIZE) or {limit}, or shorten units of work"
    return Unavailable("postgres", f"{why}; {remedy}")


def closed() -> UsageError:
    """Return the error of a call on a closed store."""
    return UsageError("the store is closed; use it inside its with block")
