"""The connection object that a unit of work gives to its user, for one unit only.

psycopg stores adapters, row and cursor factories, handlers and prepared statements on the connection object.
A unit therefore gets an object of its own on the session of a pooled connection. The pooled object never
leaves storekit, so the next unit finds none of what the user has set, and an object or a cursor that the user
keeps cannot reach the session any more.
"""

from __future__ import annotations

from typing import Any, NoReturn

import psycopg
from psycopg.pq import ConnStatus

from storekit.errors import UsageError

RESET = (
    "SET SESSION AUTHORIZATION DEFAULT", "RESET ROLE",  # RESET ALL leaves both as they are
    "RESET ALL", "SELECT pg_catalog.pg_advisory_unlock_all()", "UNLISTEN *", "CLOSE ALL", "DISCARD TEMP",
    "DISCARD SEQUENCES", "DISCARD PLANS", "DEALLOCATE ALL",
)  # fmt: skip
"""Undoes on the server what the user's SQL may have changed in the session, before another caller gets it.

These are the parts of DISCARD ALL, which cannot run in the implicit transaction of a pipeline.
"""


class _Ended:
    """Takes the place of `pgconn` when the unit has ended: the object is closed, and cannot send anything."""

    status = ConnStatus.BAD

    def __getattr__(self, name: str) -> NoReturn:
        raise _ended()


class _Lent:
    """What both kinds of object share."""

    pgconn: Any

    def __init__(self, pooled: Any) -> None:
        pgconn = pooled.pgconn
        self._handlers = pgconn.notice_handler, pgconn.notify_handler
        super().__init__(pgconn)  # type: ignore[call-arg]  # the connection class defines it
        self.lock = pooled.lock  # storekit's own trips hold it too, so that no other thread sends in between
        # as on the pooled connection: the server alone decides whether a transaction is open
        self._autocommit = True

    def end(self) -> None:
        """Separate the object from the session, which serves other calls from now on."""
        self.pgconn.notice_handler, self.pgconn.notify_handler = self._handlers
        self.pgconn = _Ended()

    def __del__(self, *_: object) -> None:
        """Do nothing: psycopg would warn that the connection is still open, but it belongs to the pool."""

    def _check_lent(self) -> None:
        if isinstance(self.pgconn, _Ended):
            raise _ended()

    def cursor(self, *arguments: Any, **keywords: Any) -> Any:
        """Open a cursor.

        Raises:
            UsageError: the unit of work has ended.
        """
        self._check_lent()
        return super().cursor(*arguments, **keywords)  # type: ignore[misc]  # a mixin's host has it


class LentConnection(_Lent, psycopg.Connection[Any]):
    """The object of the sync API."""

    def wait(self, *arguments: Any, **keywords: Any) -> Any:
        """Send and receive. Cursors call it too, also those that were opened while the unit ran."""
        self._check_lent()
        return super().wait(*arguments, **keywords)

    def commit(self) -> None:
        """Refuse: the unit of work commits when it ends."""
        raise _refused("commit")

    def rollback(self) -> None:
        """Refuse: the unit of work rolls back when its block raises an error."""
        raise _refused("rollback")


class LentAsyncConnection(_Lent, psycopg.AsyncConnection[Any]):
    """The object of the async API."""

    async def wait(self, *arguments: Any, **keywords: Any) -> Any:
        """Send and receive. Cursors call it too, also those that were opened while the unit ran."""
        self._check_lent()
        return await super().wait(*arguments, **keywords)

    async def commit(self) -> None:
        """Refuse: the unit of work commits when it ends."""
        raise _refused("commit")

    async def rollback(self) -> None:
        """Refuse: the unit of work rolls back when its block raises an error."""
        raise _refused("rollback")


LENT = (LentConnection, LentAsyncConnection)


def lend(pooled: Any) -> LentConnection | LentAsyncConnection:
    """Return an object for one unit of work on the session of a pooled connection."""
    kind = LentAsyncConnection if isinstance(pooled, psycopg.AsyncConnection) else LentConnection
    lent = kind(pooled)
    # The user may run DEALLOCATE ALL, after which psycopg must not rely on prepared statements.
    lent.prepare_threshold = None
    return lent


def _ended() -> UsageError:
    return UsageError("the unit of work has ended, and its connection now serves other calls")


def _refused(what: str) -> UsageError:
    return UsageError(
        f"{what}() is not allowed inside a unit of work, which commits or rolls back when it ends"
    )
