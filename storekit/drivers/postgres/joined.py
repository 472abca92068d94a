"""A connection of the caller, with a transaction that a unit of work joins."""

from __future__ import annotations

import select
from typing import Any
from weakref import WeakSet

from psycopg import BaseConnection
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from storekit.drivers.postgres.encodings import other_encoding
from storekit.drivers.postgres.pool.lent import LENT
from storekit.drivers.postgres.pool.logins import REMEDY
from storekit.drivers.postgres.pool.versions import unsupported
from storekit.errors import ConfigurationError, UsageError

_verified: WeakSet[Any] = WeakSet()
"""Connections of callers whose login was checked: the check costs a trip, so it is made once for each."""


class Joined:
    """The caller's connection, with the attributes that an exchange needs."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.pgconn, self.lock = connection, connection.pgconn, connection.lock
        self.prepared = None  # do not leave prepared statements in the session of the caller
        self.readable = select.poll()
        self.readable.register(connection.fileno(), select.POLLIN)

    @property
    def unverified(self) -> bool:
        """Whether the login has not been checked yet. The pool has checked the connection of another unit."""
        return not isinstance(self.connection, LENT) and self.connection not in _verified

    def verify(self, found: PGresult) -> None:
        """Refuse a connection on which the database does not protect other tenants.

        Args:
            found: the result of the query `EXEMPT_FROM_APP`.

        Raises:
            ConfigurationError: the database does not protect other tenants from its login, or its server has
                known vulnerabilities.
        """
        why = unsupported(self.connection.info.server_version)
        if exempt := found.get_value(0, 0):
            why = (
                f"the database does not protect other tenants from {self.connection.info.user}, because it "
                f"{exempt.decode()}; {REMEDY} storekit_app"
            )
        if why:
            raise ConfigurationError(f"the connection to join is refused: {why}")
        _verified.add(self.connection)

    def opening(self) -> list[str]:
        """Return the BEGIN that psycopg would send before its first statement; empty if it has sent it.

        A connection that is not in autocommit mode has a transaction as soon as it is used. Django's `atomic`
        and SQLAlchemy's `begin` send nothing themselves.
        """
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            return []
        of, parts = self.connection, ["BEGIN"]
        if of.isolation_level is not None:
            parts.append(f"ISOLATION LEVEL {of.isolation_level.name.replace('_', ' ')}")
        if of.read_only is not None:
            parts.append("READ ONLY" if of.read_only else "READ WRITE")
        if of.deferrable is not None:
            parts.append("DEFERRABLE" if of.deferrable else "NOT DEFERRABLE")
        return [" ".join(parts)]

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return int(self.connection.fileno())


def join(within: Any, kind: type[BaseConnection[Any]], role: str | None) -> Joined:
    """Check that the caller's connection has a transaction to join, and wrap it.

    Raises:
        UsageError: `within` is not a psycopg connection of the right kind, nothing would commit the unit, or
            the transaction has failed.
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
    if status == TransactionStatus.INERROR:
        raise UsageError(
            "the transaction to join has failed: a statement in it raised an error; roll it back and begin "
            "another"
        )
    if status == TransactionStatus.IDLE and within.autocommit:
        raise UsageError(
            "the connection to join is in autocommit mode and not in a transaction, so nothing would commit "
            "the unit; begin one: with connection.transaction() (psycopg), transaction.atomic() (Django) or "
            "engine.begin() (SQLAlchemy)"
        )
    return Joined(within)
