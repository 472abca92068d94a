"""The connection classes of the sync and the async pool, and the options of the pool."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Sequence
from typing import Any, Self

import psycopg
from psycopg.abc import Transformer

from storekit.drivers.postgres.drive import drive, drive_async
from storekit.drivers.postgres.exchange import Composed, Waiting, exchange
from storekit.drivers.postgres.pool.endpoint import Endpoint
from storekit.drivers.postgres.pool.logins import NOW, TRIGGERS, exempt
from storekit.drivers.postgres.prepared import Prepared
from storekit.drivers.postgres.queries import reads
from storekit.drivers.postgres.wire import new_reader
from storekit.settings import Settings

_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A server that disappears without closing the connection is detected after 30 + 3 * 10 seconds, not two
hours."""


class _Pooled:
    """What a pooled connection adds to that of psycopg: prepared statements, a reader and a process id."""

    prepared: Prepared | None
    reader: Transformer
    readable: select.poll
    process: int
    """The id of the process that opened the connection; a forked child must not use it."""
    again: Sequence[Composed] = ()
    """Statements to send after the session was reset."""
    other_defaults = False
    pgconn: psycopg.pq.abc.PGconn

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.prepared = Prepared()
        self.process = os.getpid()
        self.reader = new_reader()
        self.readable = select.poll()
        self.readable.register(self.fileno(), select.POLLIN)  # type: ignore[attr-defined]  # a mixin's host has it

    @property
    def idle(self) -> bool:
        """Whether the connection is open, with no transaction and no pipeline."""
        pgconn = self.pgconn
        return pgconn.status == 0 and pgconn.transaction_status == 0 and not pgconn.pipeline_status

    def end(self) -> None:
        """Close the connection without waiting."""
        self.pgconn.finish()


class Connection(_Pooled, psycopg.Connection[Any]):
    """A connection of the sync pool."""

    @classmethod
    def connect(cls, *arguments: Any, **keywords: Any) -> Self:
        """Connect, and verify once that row-level security applies to this login.

        The check is made before the pool gets the connection, because a login that bypasses row-level
        security must never send a statement for a tenant.
        """
        endpoint: Endpoint = keywords.pop("endpoint")
        with endpoint.recording():
            connection = super().connect(*arguments, **keywords)
            try:
                endpoint.check_encodings(connection.pgconn)
                if waiting := _checks(connection, endpoint):
                    endpoint.verify(connection, drive(waiting, connection, keywords["connect_timeout"]))
            except BaseException:
                connection.end()  # psycopg does not have the connection yet, so nothing else would close it
                raise
            return connection


class AsyncConnection(_Pooled, psycopg.AsyncConnection[Any]):
    """A connection of the async pool."""

    @classmethod
    async def connect(cls, *arguments: Any, **keywords: Any) -> Self:
        """Connect and verify, as `Connection.connect` does."""
        endpoint: Endpoint = keywords.pop("endpoint")
        try:
            with endpoint.recording():
                connection = await super().connect(*arguments, **keywords)
                try:
                    endpoint.check_encodings(connection.pgconn)
                    if waiting := _checks(connection, endpoint):
                        found = await drive_async(waiting, connection, keywords["connect_timeout"])
                        endpoint.verify(connection, found)
                except BaseException:
                    connection.end()
                    raise
                return connection
        except asyncio.CancelledError:
            # The event loop is closing. psycopg's pool worker suppresses the cancellation of a connection
            # attempt and would wait for its next task for ever: cancel the worker once more.
            if worker := asyncio.current_task():
                asyncio.get_running_loop().call_soon(worker.cancel)
            raise


def _checks(connection: _Pooled, endpoint: Endpoint) -> Waiting | None:
    """Return the exchange of a new connection, or None if it has nothing to send."""
    connection.again = endpoint.again()
    asked = [reads.SET_PATH, exempt(endpoint.login.group or ""), TRIGGERS, NOW] if endpoint.unverified else []
    statements = [*connection.again, *((each, []) for each in asked)]
    return exchange(connection.pgconn, statements, None) if statements else None


def options(settings: Settings, endpoint: Endpoint) -> dict[str, Any]:
    """Return the options of psycopg's pool: how many connections to keep, and how to open them."""
    seconds = settings.timeout.total_seconds()
    # psycopg also prepares statements that the user repeats on `tx.connection`.
    unprepared = {} if settings.prepare else {"prepare_threshold": None}
    return {
        "min_size": min(settings.pool_min, settings.pool_size),
        "max_size": settings.pool_size,
        # psycopg closes at most one idle connection in each period of this length.
        "max_idle": settings.pool_idle.total_seconds(),
        "max_waiting": settings.pool_queue,
        # psycopg doubles the pause between attempts. With its own limit of five minutes the pool would stay
        # unusable for minutes after the server is back.
        "reconnect_timeout": seconds,
        "kwargs": {
            **endpoint.keywords,
            "endpoint": endpoint,
            "autocommit": True,
            "connect_timeout": max(2, round(seconds)),  # libpq's minimum is 2 s
            **_KEEPALIVE,
            **unprepared,
        },
    }
