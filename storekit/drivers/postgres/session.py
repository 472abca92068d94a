"""An explicit transaction on one connection, for storekit's own calls and the user's SQL.

Two kinds share the code: `OwnSession` runs BEGIN and COMMIT on a pooled connection, `JoinedSession` is a
savepoint inside a transaction that the caller began. Both check the effects of the user's SQL: before each
trip, that the transaction is still open, and before COMMIT, that the writes still exist.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

from psycopg import BaseConnection
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from storekit.bridge import settle
from storekit.drivers.postgres.errors import place_of
from storekit.drivers.postgres.exchange import Composed
from storekit.drivers.postgres.joined import Joined
from storekit.drivers.postgres.pool.lent import RESET, lend
from storekit.drivers.postgres.pool.logins import EXEMPT_FROM_APP
from storekit.drivers.postgres.prepared import Prepared
from storekit.drivers.postgres.queries import reads
from storekit.drivers.postgres.transact import BEGIN_TO_WRITE
from storekit.drivers.postgres.wire import compose, new_reader, read
from storekit.errors import StorekitError, Unavailable, UsageError, ValidationError
from storekit.ports.statements import Call, Origin, Statement
from storekit.ports.stores import AnswerLost

_UNIT_SAVEPOINT = "storekit_unit"
"""Units can be nested under this one name: PostgreSQL releases or rolls back the innermost first."""
# Set around each trip inside the transaction, so that the transaction can continue after an error.
_SAVEPOINT = "SAVEPOINT storekit_step"
_ROLLBACK = "ROLLBACK TO SAVEPOINT storekit_step"
_RELEASE = "RELEASE SAVEPOINT storekit_step"
_CHECK = 1
"""The place of `REQUIRE_COMMITTED` in its exchange."""


class Executor(Protocol):
    """Takes a connection from a pool, executes statements on it and gives it back."""

    role: str | None

    async def take(self) -> Any: ...
    async def execute(self, connection: Any, composed: Sequence[Composed]) -> list[PGresult]: ...
    def give_back(self, connection: Any) -> Any: ...


class _Transaction(ABC):
    """The statements that both kinds of session send inside the transaction."""

    def __init__(self, executor: Executor, tenant: UUID, origin: Origin) -> None:
        self._executor, self._tenant, self._origin = executor, tenant, origin

    @property
    @abstractmethod
    def _channel(self) -> Any:
        """The connection as the exchange needs it: with `pgconn`, `lock`, `prepared` and `readable`."""

    @property
    @abstractmethod
    def _client(self) -> BaseConnection[Any]:
        """The psycopg connection that the user's own SQL runs on."""

    async def _execute(self, *statements: Composed) -> list[PGresult]:
        if self._channel.pgconn.status != ConnStatus.OK:
            raise AnswerLost("the connection is closed")
        if self._channel.pgconn.pipeline_status:
            raise UsageError(
                "the connection of the unit of work is in pipeline mode; leave connection.pipeline() first"
            )
        return await self._executor.execute(self._channel, statements)

    async def _execute_if_committed(self, writes: Sequence[UUID], *statements: Composed) -> list[PGresult]:
        """Execute statements only if the user's own SQL has not rolled back any of these writes.

        The user may roll back to their own savepoint, which undoes a flush without any error. The check runs
        in the same trip: its error makes the server skip the statements after it, COMMIT included.
        """
        if not writes:
            return await self._execute(*statements)
        tenant, ids = reads.encode(self._tenant), reads.array(writes)
        # The user's SQL may have set another tenant, and row-level security would then hide the writes.
        check = (
            (reads.RESTORE_TENANT, [tenant]),
            (reads.REQUIRE_COMMITTED, [tenant, ids, str(len(writes)).encode()]),
        )
        try:
            return await self._execute(*check, *statements)
        except ValidationError as error:
            if place_of(error) != _CHECK:  # of a deferred trigger of the user, which runs in COMMIT
                raise
            raise UsageError(
                "a ROLLBACK TO SAVEPOINT undid records that the unit of work had flushed, so nothing was "
                "committed; call flush() before SAVEPOINT, so that a rollback undoes only your own SQL"
            ) from error

    async def pipeline(self, calls: Sequence[Call]) -> list[Any]:
        _require_in_transaction(self._client)  # the user's SQL may have run COMMIT or failed since
        try:
            results = await self._execute((_SAVEPOINT, []), *map(reads.call, calls), (_RELEASE, []))
        except StorekitError:
            # If the connection broke, the status is not INERROR, and nothing can be sent.
            if self._channel.pgconn.transaction_status == TransactionStatus.INERROR:
                await self._execute((_ROLLBACK, []), (_RELEASE, []))
            raise
        return _read(calls, results[1:-1])

    async def ask(self, tenant: UUID, statements: Sequence[Statement]) -> list[Any]:
        _require_in_transaction(self._client)
        # Rolling back to the savepoint restores the settings that reads change (tenant, planner), which must
        # not apply to the user's own SQL.
        reads = compose(tenant, statements)
        results = await self._execute((_SAVEPOINT, []), *reads, (_ROLLBACK, []), (_RELEASE, []))
        return _read(statements, results[:-2])


class OwnSession(_Transaction):
    """A transaction on a pooled connection, from BEGIN to COMMIT."""

    def __init__(self, executor: Executor, tenant: UUID, origin: Origin) -> None:
        super().__init__(executor, tenant, origin)
        self._connection: Any = None
        self._lent: Any = None
        """The connection object that the user got, and may have changed the session with; None if the user
        got none."""

    @property
    def _channel(self) -> Any:
        return self._connection

    @property
    def _client(self) -> Any:
        return self._lent or self._connection

    @property
    def connection(self) -> Any:
        if self._lent is None:
            self._lent = lend(self._connection)
            # The user may run DEALLOCATE ALL: storekit must not rely on prepared statements now.
            self._connection.prepared = None
        return self._lent

    async def begin(self, calls: Sequence[Call]) -> list[Any]:
        self._connection = await self._executor.take()
        role = self._executor.role
        as_role: list[Composed] = [(reads.SET_ROLE, [role.encode()])] if role else []
        # BEGIN, the scope and the first calls share one trip.
        opening: list[Composed] = [(BEGIN_TO_WRITE, []), *as_role, _set_scope(self._tenant, self._origin)]
        return _read(calls, await self._execute(*opening, *map(reads.call, calls)))

    async def commit(self, writes: Sequence[UUID] = ()) -> None:
        _require_in_transaction(self._client)
        try:
            result = (await self._execute_if_committed(writes, ("COMMIT", [])))[-1]
        except AnswerLost:
            # COMMIT may or may not have arrived. The caller finds out from the row of the write.
            self._connection.end()
            await self._give_back()
            raise
        _require_committed(result)
        await self.rollback()  # nothing to roll back: it resets the session and returns the connection

    async def rollback(self) -> None:
        if self._connection is None:
            return
        try:
            if self._connection.pgconn.transaction_status in _OPEN:
                await self._execute(("ROLLBACK", []))
            if self._lent is not None:
                await self._execute(*((each, []) for each in RESET), *self._connection.again)
        except (StorekitError, AnswerLost):
            self._connection.end()  # closing the connection rolls back, and the server forgets the session
        except BaseException:
            self._connection.end()
            raise
        finally:
            await self._give_back()

    async def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if self._lent is not None:
            self._lent.end()
            connection.prepared = Prepared()
        await settle(self._executor.give_back(connection))


class JoinedSession(_Transaction):
    """A savepoint inside a transaction that the caller began and will end."""

    def __init__(self, executor: Executor, tenant: UUID, origin: Origin, joined: Joined) -> None:
        super().__init__(executor, tenant, origin)
        self._joined = joined
        self._begun = False
        self._previous: Origin | None = None
        self._row_security: bytes | None = None

    @property
    def _channel(self) -> Any:
        return self._joined

    @property
    def _client(self) -> Any:
        return self._joined.connection

    @property
    def connection(self) -> Any:
        return self._joined.connection

    async def _verify(self, begin: Sequence[Composed]) -> None:
        # Rolling back restores the search path of the caller.
        opening: list[Composed] = [*begin, (_SAVEPOINT, []), (reads.SET_PATH, [])]
        results = await self._execute(*opening, (EXEMPT_FROM_APP, []), (_ROLLBACK, []), (_RELEASE, []))
        self._joined.verify(results[len(opening)])

    async def begin(self, calls: Sequence[Call]) -> list[Any]:
        begin: list[Composed] = [(each, []) for each in self._joined.opening()]
        if not begin:
            _require_in_transaction(self._joined.connection)
        if self._joined.unverified:
            # in a trip of its own, because no call may run for a login that is refused
            await self._verify(begin)
            begin = []
        opening: list[Composed] = [(f"SAVEPOINT {_UNIT_SAVEPOINT}", []), (reads.CURRENT, [])]
        self._begun = True  # set before the trip: a call that fails in it must roll back to the savepoint
        scope = _set_scope(self._tenant, self._origin)
        results = await self._execute(*begin, *opening, scope, *map(reads.call, calls))
        results = results[len(begin) :]
        if not results[2].ntuples:
            raise UsageError(
                "the transaction to join belongs to another tenant; use a transaction of this tenant"
            )
        found = [(results[1].get_value(0, i) or b"").decode() for i in range(4)]
        self._previous = Origin(*found)
        self._row_security = results[1].get_value(0, 4)
        return _read(calls, results)

    async def commit(self, writes: Sequence[UUID] = ()) -> None:
        _require_in_transaction(self._joined.connection)
        # RELEASE keeps settings, so those of the owner must be restored for the statements that follow.
        again: list[Composed] = [(reads.SET_ROW_SECURITY, [self._row_security])]
        if self._previous is not None:
            again.append(_set_scope(self._tenant, self._previous))
        try:
            release: Composed = (f"RELEASE SAVEPOINT {_UNIT_SAVEPOINT}", [])
            await self._execute_if_committed(writes, release, *again)
        except AnswerLost as error:
            # The outcome is known: the joined transaction was not committed yet, so it is rolled back.
            raise Unavailable(
                "postgres", "the connection broke, so the joined transaction is rolled back"
            ) from error
        self._begun = False

    async def rollback(self) -> None:
        begun, self._begun = self._begun, False
        if begun and self._joined.pgconn.transaction_status in _OPEN:
            undo = [f"ROLLBACK TO SAVEPOINT {_UNIT_SAVEPOINT}", f"RELEASE SAVEPOINT {_UNIT_SAVEPOINT}"]
            # A broken connection is reported by the next statement of its owner.
            with suppress(StorekitError, AnswerLost):
                await self._execute(*((each, []) for each in undo))


_OPEN = {TransactionStatus.INTRANS, TransactionStatus.INERROR}


def _set_scope(tenant: UUID, origin: Origin) -> Composed:
    """Set the tenant and the origin; returns no row if the transaction belongs to another tenant."""
    named = origin.actor, origin.on_behalf_of or "", origin.context or ""
    return reads.SET_SCOPE, [str(tenant).encode(), *map(reads.encode, named), reads.encode(origin.reason)]


def _require_in_transaction(connection: BaseConnection[Any]) -> None:
    status = connection.pgconn.transaction_status
    if status == TransactionStatus.INERROR:
        raise UsageError(
            "a statement in this unit of work failed and its error was suppressed, so the transaction cannot "
            "be committed; run statements that may fail in a savepoint: with tx.connection.transaction()"
        )
    if connection.broken:
        raise Unavailable("postgres", "the connection broke")
    if status != TransactionStatus.INTRANS:
        raise UsageError(
            "the transaction was ended inside the unit of work; statements before a COMMIT are visible; "
            "do not run COMMIT or ROLLBACK inside a unit of work"
        )


def _require_committed(result: PGresult) -> None:
    # COMMIT of an aborted transaction is not an error: the server replies with ROLLBACK.
    if result.command_status != b"COMMIT":
        raise UsageError("the transaction was aborted inside the unit of work; nothing was committed")


def _read(statements: Sequence[Statement], results: Sequence[PGresult]) -> list[Any]:
    return read(new_reader(), statements, results)
