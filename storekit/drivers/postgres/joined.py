"""A connection of the caller, with a transaction that a unit of work joins."""

from __future__ import annotations

import select
from typing import Any

from psycopg import BaseConnection
from psycopg.pq import TransactionStatus

from storekit.drivers.postgres.pool.encodings import other_encoding
from storekit.errors import UsageError


class Joined:
    """The caller's connection, with the attributes that an exchange needs."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.pgconn, self.lock = connection, connection.pgconn, connection.lock
        self.prepared = None  # do not leave prepared statements in the session of the caller
        self.readable = select.poll()
        self.readable.register(connection.fileno(), select.POLLIN)

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return int(self.connection.fileno())


def join(within: Any, kind: type[BaseConnection[Any]], role: str | None) -> Joined:
    """Check that the caller's connection has a transaction to join, and wrap it.

    Raises:
        UsageError: `within` is not a psycopg connection of the right kind, or it is not in a transaction.
    """
    if not isinstance(within, kind):
        raise UsageError(f"within must be a psycopg.{kind.__name__}, got {type(within).__name__}")
    if role is not None:
        raise UsageError(
            "within cannot be used with global records, which are written on an admin connection; omit within"
        )
    if within.closed:
        raise UsageError("the connection to join is closed")
    if why := other_encoding(within.pgconn):
        raise UsageError(f"the connection to join cannot be used: its {why}")
    status = within.pgconn.transaction_status
    if status == TransactionStatus.IDLE:
        raise UsageError(
            "the connection to join is not in a transaction; begin one: with connection.transaction(): ..."
        )
    return Joined(within)
