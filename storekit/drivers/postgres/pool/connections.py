"""The connections that a pool lends, in both colours, and the options of the pool."""

from __future__ import annotations

import asyncio
import os
import select
from typing import Any, Self

import psycopg
from psycopg.abc import Transformer

from storekit.drivers.postgres.drive import drive, drive_async
from storekit.drivers.postgres.exchange import Waiting, exchange
from storekit.drivers.postgres.pool.endpoint import Door
from storekit.drivers.postgres.pool.logins import ABOVE_THE_WALL
from storekit.drivers.postgres.wire import new_reader
from storekit.errors import UsageError
from storekit.settings import Settings

_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class _Lent:
    """A connection that knows which statements the server has prepared for it, and how to read answers."""

    prepared: dict[str, bytes]
    reader: Transformer
    readable: select.poll
    process: int
    lent_to_unit = False
    pgconn: psycopg.pq.abc.PGconn

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.prepared = {}
        self.process = os.getpid()
        self.reader = new_reader()
        self.readable = select.poll()
        self.readable.register(self.fileno(), select.POLLIN)  # type: ignore[attr-defined]  # a mixin's host has it

    @property
    def idle(self) -> bool:
        """Whether it is open and in the midst of nothing."""
        link = self.pgconn
        return link.status == 0 and link.transaction_status == 0 and not link.pipeline_status

    def leave_to_unit(self, what: str) -> None:
        """Refuse to end the transaction of a unit of work from within.

        Raises:
            UsageError: it is the unit's to end.
        """
        if self.lent_to_unit:
            raise UsageError(f"{what}() ends the unit of work from within; leave it to the unit's own end")

    def cursor(self, *arguments: Any, **keywords: Any) -> Any:
        """Serve a unit of work, as long as it lasts.

        Raises:
            UsageError: it has ended, and this connection serves others.
        """
        if not self.lent_to_unit:
            raise UsageError("the unit of work has ended, and its connection serves others now")
        return super().cursor(*arguments, **keywords)  # type: ignore[misc]  # a mixin's host has it

    def end(self) -> None:
        """Say good-bye; nothing is waited for."""
        self.pgconn.finish()


class Connection(_Lent, psycopg.Connection[Any]):
    """The synchronous colour."""

    @classmethod
    def connect(cls, *arguments: Any, **keywords: Any) -> Self:
        """Come in by the door."""
        door: Door = keywords.pop("door")
        with door.watched():
            connection = super().connect(*arguments, **keywords)
            try:
                if door.must_ask:
                    seconds = keywords["connect_timeout"]
                    door.judge(connection, drive(_question(connection), connection, seconds))
            except BaseException:
                connection.end()
                raise
            return connection

    def commit(self) -> None:
        """Commit, unless a unit of work does that."""
        self.leave_to_unit("commit")
        super().commit()

    def rollback(self) -> None:
        """Roll back, unless a unit of work does that."""
        self.leave_to_unit("rollback")
        super().rollback()


class AsyncConnection(_Lent, psycopg.AsyncConnection[Any]):
    """The asynchronous colour."""

    @classmethod
    async def connect(cls, *arguments: Any, **keywords: Any) -> Self:
        """As `Connection.connect`, awaited."""
        door: Door = keywords.pop("door")
        try:
            with door.watched():
                connection = await super().connect(*arguments, **keywords)
                try:
                    if door.must_ask:
                        seconds = keywords["connect_timeout"]
                        door.judge(connection, await drive_async(_question(connection), connection, seconds))
                except BaseException:
                    connection.end()
                    raise
                return connection
        except asyncio.CancelledError:
            # the loop ends, but psycopg's worker swallows this and would wait for its next task for ever
            if worker := asyncio.current_task():
                asyncio.get_running_loop().call_soon(worker.cancel)
            raise

    async def commit(self) -> None:
        """As `Connection.commit`, awaited."""
        self.leave_to_unit("commit")
        await super().commit()

    async def rollback(self) -> None:
        """As `Connection.rollback`, awaited."""
        self.leave_to_unit("rollback")
        await super().rollback()


def _question(connection: _Lent) -> Waiting:
    return exchange(connection.pgconn, [(ABOVE_THE_WALL, [])], None)


def options(settings: Settings, door: Door) -> dict[str, Any]:
    """Tell psycopg's pool how many connections to keep, and how they are opened."""
    seconds = settings.timeout.total_seconds()
    # psycopg prepares what a user's own code repeats on a connection that a unit of work lends it
    unprepared = {} if settings.prepare else {"prepare_threshold": None}
    return {
        "min_size": min(settings.pool_min, settings.pool_size),
        "max_size": settings.pool_size,
        "max_idle": settings.pool_idle.total_seconds(),
        "max_waiting": settings.pool_queue,
        # psycopg doubles its pause between attempts: after five minutes without a server, its own limit, it
        # would stay away for minutes when the server is back
        "reconnect_timeout": seconds,
        "kwargs": {
            **door.keywords,
            "door": door,
            "autocommit": True,
            "connect_timeout": max(2, round(seconds)),
            **_KEEPALIVE,
            **unprepared,
        },
    }
