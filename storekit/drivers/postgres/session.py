"""An explicit transaction on one connection: storekit's own calls, and whatever SQL the user runs there."""

from __future__ import annotations

import select
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

from psycopg import BaseConnection
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.rows import tuple_row

from storekit.bridge import settle
from storekit.drivers.postgres.exchange import Composed
from storekit.drivers.postgres.sql import queries
from storekit.drivers.postgres.wire import compose, new_reader, read
from storekit.errors import StorekitError, Unavailable, UsageError, ValidationError
from storekit.ports.statements import Call, Statement
from storekit.ports.stores import AnswerLost

_SAVEPOINT = "storekit_unit"
"""Units may join one another: of two with this name the inner is released, or undone, first."""
_MARK = "SAVEPOINT storekit_step"
_BACK = "ROLLBACK TO SAVEPOINT storekit_step"
_DONE = "RELEASE SAVEPOINT storekit_step"


class Speaker(Protocol):
    """How a colour takes a connection, speaks over it and gives it back."""

    role: str | None

    async def take(self) -> Any: ...
    async def speak(self, connection: Any, composed: Sequence[Composed]) -> list[PGresult]: ...
    def give_back(self, connection: Any) -> Any: ...


class Joined:
    """A connection of the caller's, with what the exchange needs to know of it."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.pgconn, self.lock = connection, connection.pgconn, connection.lock
        self.prepared = None  # it is not ours to leave statements in
        self.readable = select.poll()
        self.readable.register(connection.fileno(), select.POLLIN)

    def fileno(self) -> int:
        """The socket."""
        return int(self.connection.fileno())


class _Transaction(ABC):
    """What both kinds of session say inside the transaction."""

    def __init__(self, speaker: Speaker, tenant: UUID, actor: str) -> None:
        self._speaker, self._tenant, self._actor = speaker, tenant, actor

    @property
    @abstractmethod
    def _link(self) -> Any:
        """What the exchange speaks over."""

    @property
    @abstractmethod
    def _client(self) -> BaseConnection[Any]:
        """What the user's own SQL runs on."""

    async def _say(self, *statements: Composed) -> list[PGresult]:
        if self._link.pgconn.status != ConnStatus.OK:
            raise AnswerLost("the connection is closed")
        if self._link.pgconn.pipeline_status:
            raise UsageError("the unit's connection is in a pipeline; leave connection.pipeline() first")
        return await self._speaker.speak(self._link, statements)

    async def _say_if_there(self, writes: Sequence[UUID], *statements: Composed) -> list[PGresult]:
        """Say something only if the user's own SQL has not undone any of these writes."""
        if not writes:
            return await self._say(*statements)
        tenant, ids = queries.encode(self._tenant), queries.array(writes)
        # which may have named another tenant, too
        check = (queries.IN_TENANT, [tenant]), (queries.ALL_THERE, [tenant, ids, str(len(writes)).encode()])
        try:
            return await self._say(*check, *statements)
        except ValidationError as error:
            raise UsageError(
                "a savepoint inside the unit of work undid what was flushed after it, so nothing was "
                "committed; roll back to a savepoint only what your own SQL did since"
            ) from error

    async def pipeline(self, calls: Sequence[Call]) -> list[Any]:
        _require_in_transaction(self._client)
        try:
            results = await self._say((_MARK, []), *map(queries.call, calls), (_DONE, []))
        except StorekitError:
            if self._link.pgconn.transaction_status == TransactionStatus.INERROR:
                await self._say((_BACK, []), (_DONE, []))
            raise
        return _answers(calls, results[1:-1])

    async def ask(self, tenant: UUID, statements: Sequence[Statement]) -> list[Any]:
        _require_in_transaction(self._client)
        # what is set for a read is not to be in force for the user's own SQL
        asked = compose(tenant, statements)
        results = await self._say((_MARK, []), *asked, (_BACK, []), (_DONE, []))
        return _answers(statements, results[:-2])


class OwnSession(_Transaction):
    """A transaction of its own, from BEGIN to COMMIT."""

    def __init__(self, speaker: Speaker, tenant: UUID, actor: str) -> None:
        super().__init__(speaker, tenant, actor)
        self._connection: Any = None
        self._shown = False

    @property
    def _link(self) -> Any:
        return self._connection

    @property
    def _client(self) -> Any:
        return self._connection

    @property
    def connection(self) -> Any:
        self._shown = True
        # whoever has it may drop every statement that was prepared there
        self._connection.prepared = self._connection.prepare_threshold = None
        return self._connection

    async def begin(self, calls: Sequence[Call]) -> list[Any]:
        self._connection = await self._speaker.take()
        self._connection.lent_to_unit = True
        role = self._speaker.role
        as_role: list[Composed] = [(queries.SET_ROLE, [role.encode()])] if role else []
        opening: list[Composed] = [("BEGIN", []), *as_role, _acting(self._tenant, self._actor)]
        return _answers(calls, await self._say(*opening, *map(queries.call, calls)))

    async def commit(self, writes: Sequence[UUID] = ()) -> None:
        _require_in_transaction(self._connection)
        try:
            result = (await self._say_if_there(writes, ("COMMIT", [])))[-1]
        except AnswerLost:
            self._connection.end()
            await self._give_back()
            raise
        _require_committed(result)
        await self.rollback()

    async def rollback(self) -> None:
        if self._connection is None:
            return
        try:
            if self._connection.pgconn.transaction_status in _OPEN:
                await self._say(("ROLLBACK", []))
            if self._shown:
                await self._say(*_CLEANING)
        except (StorekitError, AnswerLost):
            self._connection.end()
        except BaseException:
            self._connection.end()
            raise
        finally:
            await self._give_back()

    async def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        connection.lent_to_unit = False
        if self._shown:
            connection.prepared, connection.row_factory = {}, tuple_row
        await settle(self._speaker.give_back(connection))


class JoinedSession(_Transaction):
    """A part of a transaction that the caller has begun and will end."""

    def __init__(self, speaker: Speaker, tenant: UUID, actor: str, joined: Joined) -> None:
        super().__init__(speaker, tenant, actor)
        self._joined = joined
        self._begun = False
        self._before = ""

    @property
    def _link(self) -> Any:
        return self._joined

    @property
    def _client(self) -> Any:
        return self._joined.connection

    @property
    def connection(self) -> Any:
        return self._joined.connection

    async def begin(self, calls: Sequence[Call]) -> list[Any]:
        _require_in_transaction(self._joined.connection)
        opening: list[Composed] = [(f"SAVEPOINT {_SAVEPOINT}", []), (queries.ACTOR, [])]
        self._begun = True
        results = await self._say(*opening, _acting(self._tenant, self._actor), *map(queries.call, calls))
        if not results[2].ntuples:
            raise UsageError("the transaction to join belongs to another tenant; give this one its own")
        self._before = (results[1].get_value(0, 0) or b"").decode()
        return _answers(calls, results)

    async def commit(self, writes: Sequence[UUID] = ()) -> None:
        _require_in_transaction(self._joined.connection)
        # its owner goes on as whom he was before
        again = [_acting(self._tenant, self._before)] if self._before else []
        try:
            await self._say_if_there(writes, (f"RELEASE SAVEPOINT {_SAVEPOINT}", []), *again)
        except AnswerLost as error:
            raise Unavailable("postgres", "the link broke, and the joined transaction with it") from error
        self._begun = False

    async def rollback(self) -> None:
        begun, self._begun = self._begun, False
        if begun and self._joined.pgconn.transaction_status in _OPEN:
            undo = [f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}", f"RELEASE SAVEPOINT {_SAVEPOINT}"]
            with suppress(StorekitError, AnswerLost):  # its owner learns by himself that his link is gone
                await self._say(*((each, []) for each in undo))


_OPEN = {TransactionStatus.INTRANS, TransactionStatus.INERROR}
_CLEANING: list[Composed] = [
    (each, [])
    for each in (
        "RESET ALL", "SELECT pg_advisory_unlock_all()", "UNLISTEN *", "CLOSE ALL", "DISCARD TEMP",
        "DISCARD SEQUENCES", "DEALLOCATE ALL",
    )
]  # fmt: skip
"""What the user's own SQL leaves in its session is not to meet the next who borrows the connection."""


def join(within: Any, kind: type[BaseConnection[Any]], role: str | None) -> Joined:
    """Take part in a transaction of the caller's.

    Raises:
        UsageError: it is no connection of this colour, or is in no transaction.
    """
    if not isinstance(within, kind):
        raise UsageError(f"within={type(within).__name__}: it must be a psycopg.{kind.__name__}")
    if role is not None:
        raise UsageError("global records are written on a connection of their own; leave within")
    if within.closed:
        raise UsageError("the connection to join is closed")
    status = within.pgconn.transaction_status
    if status == TransactionStatus.IDLE:
        raise UsageError("the connection to join is in no transaction: with connection.transaction(): ...")
    return Joined(within)


def _acting(tenant: UUID, actor: str) -> Composed:
    """Say for whom and as whom, unless the transaction belongs to another tenant."""
    return queries.ACT, [str(tenant).encode(), actor.encode()]


def _require_in_transaction(connection: BaseConnection[Any]) -> None:
    status = connection.pgconn.transaction_status
    if status == TransactionStatus.INERROR:
        raise UsageError(
            "a statement of this unit of work failed and its error was swallowed, so nothing of it can be "
            "committed; put what may fail into a savepoint: with tx.connection.transaction()"
        )
    if connection.broken:
        raise Unavailable("postgres", "the link broke")
    if status != TransactionStatus.INTRANS:
        raise UsageError(
            "the unit's transaction was ended inside it; what came before a COMMIT there is visible; leave "
            "commit and rollback to the unit"
        )


def _require_committed(result: PGresult) -> None:
    if result.command_status != b"COMMIT":
        raise UsageError("the unit's transaction was spoilt inside it; nothing was committed")


def _answers(statements: Sequence[Statement], results: Sequence[PGresult]) -> list[Any]:
    return read(new_reader(), statements, results)
