"""The ledger port over psycopg's pools: what is one trip in the design is one trip on the wire."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import time
from collections.abc import Sequence
from typing import Any, Self
from uuid import UUID

import psycopg
import psycopg_pool
from psycopg.abc import Transformer

from storekit.drivers.postgres.answers import compose, new_reader, read
from storekit.drivers.postgres.door import Door
from storekit.drivers.postgres.exchange import Waiting, exchange
from storekit.drivers.postgres.logins import ABOVE_THE_WALL
from storekit.ports import AnswerLost, Statement
from storekit.settings import Settings

_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

_GLANCE = 0.1
"""Seconds after which who waits for the first connection looks whether the login was refused."""

# what the pool logs is for whoever configured logging: else Python would print it
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())


class _Prepared:
    """A connection that knows which statements the server has prepared for it, and how to read answers."""

    prepared: dict[str, bytes]
    reader: Transformer
    readable: select.poll
    process: int

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.prepared = {}
        self.process = os.getpid()
        self.reader = new_reader()
        self.readable = select.poll()
        self.readable.register(self.fileno(), select.POLLIN)  # type: ignore[attr-defined]  # a mixin's host has it


class _Connection(_Prepared, psycopg.Connection[Any]):
    @classmethod
    def connect(cls, *arguments: Any, **keywords: Any) -> Self:
        door: Door = keywords.pop("door")
        with door.watched():
            connection = super().connect(*arguments, **keywords)
            if door.must_ask:
                door.judge(connection, connection.execute(ABOVE_THE_WALL).fetchone())
            return connection


class _AsyncConnection(_Prepared, psycopg.AsyncConnection[Any]):
    @classmethod
    async def connect(cls, *arguments: Any, **keywords: Any) -> Self:
        door: Door = keywords.pop("door")
        with door.watched():
            connection = await super().connect(*arguments, **keywords)
            if door.must_ask:
                cursor = await connection.execute(ABOVE_THE_WALL)
                door.judge(connection, await cursor.fetchone())
            return connection


class PostgresLedger:
    """The synchronous colour: it never suspends."""

    def __init__(self, settings: Settings, login: str = "app") -> None:
        self._settings, self._timeout = settings, settings.timeout.total_seconds()
        self._door = Door(settings, login)
        self._pool = psycopg_pool.ConnectionPool(
            connection_class=_Connection, open=True, **_pool_options(settings, self._door)
        )

    async def pipeline(self, tenant: UUID, actor: str, statements: Sequence[Statement]) -> list[Any]:
        composed = compose(tenant, statements, self._door.login.role)
        connection = self._take()
        try:
            prepared = connection.prepared if self._settings.prepare else None
            results = _drive(exchange(connection.pgconn, composed, prepared), connection, self._timeout)
            return read(connection.reader, statements, results)
        except BaseException as error:
            _discard_unless_idle(connection, error)
            raise
        finally:
            self._pool.putconn(connection)

    def _take(self) -> _Connection:
        try:
            connection = self._wait()
            while connection.readable.poll(0):  # the server has hung up: an idle link has nothing to read
                connection.pgconn.finish()
                self._pool.putconn(connection)
                connection = self._wait()
        except (psycopg_pool.PoolTimeout, psycopg.OperationalError) as error:
            raise self._door.unreachable(self._timeout) from error
        return connection

    def _wait(self) -> _Connection:
        deadline = time.monotonic() + self._timeout
        while True:
            left = deadline - time.monotonic()
            try:
                return self._pool.getconn(left if self._door.entered else min(left, _GLANCE))
            except psycopg_pool.PoolTimeout:
                self._door.raise_refusal()
                if time.monotonic() >= deadline:
                    raise

    async def close(self) -> None:
        self._pool.close()


class AsyncPostgresLedger:
    """The asynchronous colour."""

    def __init__(self, settings: Settings, login: str = "app") -> None:
        self._settings, self._timeout = settings, settings.timeout.total_seconds()
        self._door = Door(settings, login)
        self._pool = psycopg_pool.AsyncConnectionPool(
            connection_class=_AsyncConnection, open=False, **_pool_options(settings, self._door)
        )

    async def pipeline(self, tenant: UUID, actor: str, statements: Sequence[Statement]) -> list[Any]:
        composed = compose(tenant, statements, self._door.login.role)
        connection = await self._take()
        try:
            prepared = connection.prepared if self._settings.prepare else None
            waiting = exchange(connection.pgconn, composed, prepared)
            results = await _drive_async(waiting, connection.fileno(), self._timeout)
            return read(connection.reader, statements, results)
        except BaseException as error:
            _discard_unless_idle(connection, error)
            raise
        finally:
            await asyncio.shield(self._pool.putconn(connection))

    async def _take(self) -> _AsyncConnection:
        try:
            await self._pool.open()
            connection = await self._wait()
            while connection.readable.poll(0):  # the server has hung up: an idle link has nothing to read
                connection.pgconn.finish()
                await self._pool.putconn(connection)
                connection = await self._wait()
        except (psycopg_pool.PoolTimeout, psycopg.OperationalError) as error:
            raise self._door.unreachable(self._timeout) from error
        return connection

    async def _wait(self) -> _AsyncConnection:
        deadline = time.monotonic() + self._timeout
        while True:
            left = deadline - time.monotonic()
            try:
                return await self._pool.getconn(left if self._door.entered else min(left, _GLANCE))
            except psycopg_pool.PoolTimeout:
                self._door.raise_refusal()
                if time.monotonic() >= deadline:
                    raise

    async def close(self) -> None:
        await self._pool.close()


def _pool_options(settings: Settings, door: Door) -> dict[str, Any]:
    seconds = settings.timeout.total_seconds()
    return {
        "min_size": 1,
        "max_size": settings.pool_size,
        "timeout": seconds,
        # psycopg doubles its pause between attempts: after five minutes without a server, its own limit, it
        # would stay away for minutes when the server is back
        "reconnect_timeout": seconds,
        "kwargs": {
            **door.keywords,
            "door": door,
            "autocommit": True,
            "connect_timeout": max(2, round(seconds)),
            **_KEEPALIVE,
        },
    }


def _discard_unless_idle(connection: _Connection | _AsyncConnection, error: BaseException) -> None:
    """Close a connection whose conversation was cut: the next borrower must not read this one's answers."""
    if connection.process != os.getpid():  # a forked child ends a task of its parent, which still speaks
        return
    pgconn = connection.pgconn
    if pgconn.pipeline_status or pgconn.transaction_status != 0 or isinstance(error, AnswerLost):
        pgconn.finish()


def _drive(waiting: Waiting, connection: _Connection, timeout: float) -> Any:
    deadline = time.monotonic() + timeout
    try:
        while True:
            ready = _writable(connection) if next(waiting) else connection.readable
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise AnswerLost(f"no answer within {timeout:g} s")
    except StopIteration as stop:
        return stop.value


def _writable(connection: _Connection) -> select.poll:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLOUT)
    return poll


async def _drive_async(waiting: Waiting, socket: int, timeout: float) -> Any:
    loop = asyncio.get_running_loop()
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
