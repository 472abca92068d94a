"""The ledger port over the pools. Each call of the port is one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from psycopg.pq.abc import PGresult

from storekit.drivers.postgres.drive import drive, drive_async
from storekit.drivers.postgres.exchange import Composed, exchange
from storekit.drivers.postgres.joined import join as join_connection
from storekit.drivers.postgres.pool.connections import AsyncConnection, Connection
from storekit.drivers.postgres.pool.endpoint import Endpoint
from storekit.drivers.postgres.pool.logins import LOGINS
from storekit.drivers.postgres.pool.pool import AsyncPool, Pool, closed
from storekit.drivers.postgres.pool.registry import join, leave
from storekit.drivers.postgres.session import JoinedSession, OwnSession
from storekit.drivers.postgres.transact import transact
from storekit.drivers.postgres.wire import compose, read
from storekit.ports.statements import Origin, Statement
from storekit.ports.stores import AnswerLost, Session
from storekit.settings import Login, Settings


class PostgresLedger:
    """The ledger of the sync API: its coroutines block and never suspend."""

    def __init__(self, settings: Settings, login: Login = Login.APP) -> None:
        self._settings, self._timeout = settings, settings.timeout.total_seconds()
        self.role = LOGINS[login].role
        self.pool = join(self, settings, login, partial(Pool, settings, login))

    async def pipeline(self, tenant: UUID, actor: str, statements: Sequence[Statement]) -> list[Any]:
        composed = compose(tenant, statements, self.role)  # before taking a connection: it may raise
        connection = self.pool.take()
        try:
            prepared = connection.prepared if self._settings.prepare else None
            waiting = transact(connection, statements, composed, prepared)
            results = drive(waiting, connection, self._timeout)
            return read(connection.reader, statements, results)
        except AnswerLost:
            # The response may still arrive, so no other call may use this connection.
            connection.end()
            raise
        finally:
            self.pool.give_back(connection)

    def session(self, tenant: UUID, origin: Origin, within: Any = None) -> Session:
        if within is None:
            return OwnSession(self, tenant, origin)
        return JoinedSession(self, tenant, origin, join_connection(within, psycopg.Connection, self.role))

    async def take(self) -> Connection:
        """Take a connection from the pool for a unit of work."""
        return self.pool.take()

    async def execute(self, connection: Any, composed: Sequence[Composed]) -> list[PGresult]:
        """Execute statements in one trip while holding the connection's lock.

        psycopg holds the same lock for the user's own SQL, so another thread cannot send in between.
        """
        prepared = connection.prepared if self._settings.prepare else None
        with connection.lock:
            found: list[PGresult] = drive(
                exchange(connection.pgconn, composed, prepared), connection, self._timeout
            )
        return found

    def give_back(self, connection: Connection) -> None:
        """Return a connection to the pool."""
        self.pool.give_back(connection)

    async def close(self) -> None:
        if leave(self, self.pool):
            self.pool.close()


class AsyncPostgresLedger:
    """The ledger of the async API, with one pool for each event loop: a connection belongs to its loop."""

    def __init__(self, settings: Settings, login: Login = Login.APP) -> None:
        self._settings, self._timeout = settings, settings.timeout.total_seconds()
        self._login, self.role = login, LOGINS[login].role
        self._pools: dict[asyncio.AbstractEventLoop, AsyncPool] = {}
        self._closed = False
        Endpoint(settings, login)  # an invalid URL is reported now, not at the first call

    @property
    def pool(self) -> AsyncPool:
        """The pool of the running event loop."""
        loop = asyncio.get_running_loop()
        return self._pools.get(loop) or self._join(loop)

    def _join(self, loop: asyncio.AbstractEventLoop) -> AsyncPool:
        """Register with the pool of a loop, and end the pools of closed loops: nothing else does that."""
        if self._closed:
            raise closed()
        # Iterate over a copy: other threads with event loops may add pools meanwhile.
        for over in [each for each in tuple(self._pools) if each.is_closed()]:
            if pool := self._pools.pop(over, None):
                leave(self, pool)
                pool.end()  # also if other stores joined it: nobody can use it any more
        make = partial(AsyncPool, self._settings, self._login, loop)
        return self._pools.setdefault(loop, join(self, self._settings, self._login, make, loop))

    async def pipeline(self, tenant: UUID, actor: str, statements: Sequence[Statement]) -> list[Any]:
        composed = compose(tenant, statements, self.role)
        pool = self.pool
        connection = await pool.take()
        try:
            prepared = connection.prepared if self._settings.prepare else None
            waiting = transact(connection, statements, composed, prepared)
            results = await drive_async(waiting, connection, self._timeout)
            return read(connection.reader, statements, results)
        except AnswerLost:
            connection.end()
            raise
        finally:
            await pool.give_back(connection)

    def session(self, tenant: UUID, origin: Origin, within: Any = None) -> Session:
        if within is None:
            return OwnSession(self, tenant, origin)
        return JoinedSession(
            self, tenant, origin, join_connection(within, psycopg.AsyncConnection, self.role)
        )

    async def take(self) -> AsyncConnection:
        """Take a connection from the pool for a unit of work."""
        return await self.pool.take()

    async def execute(self, connection: Any, composed: Sequence[Composed]) -> list[PGresult]:
        """Execute statements in one trip while holding the connection's lock."""
        prepared = connection.prepared if self._settings.prepare else None
        async with connection.lock:
            waiting = exchange(connection.pgconn, composed, prepared)
            found: list[PGresult] = await drive_async(waiting, connection, self._timeout)
        return found

    def give_back(self, connection: AsyncConnection) -> Any:
        """Return a connection to the pool. The result is a future that completes when the pool has it."""
        return self.pool.give_back(connection)

    async def close(self) -> None:
        self._closed = True
        while self._pools:  # popitem is atomic, so closing twice at once closes each pool once
            _, pool = self._pools.popitem()
            if leave(self, pool):
                await pool.close()
