"""Call Postgres inside the transaction of a unit of work, on its own connection.

Reads therefore see what the unit has written. The unit also never waits for a second connection while it
holds row locks; otherwise units that hold all connections of the pool could wait for each other for ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from storekit.errors import OutcomeUnknown, Unavailable, UsageError
from storekit.flows.context import NIL, Context
from storekit.flows.replies import Json
from storekit.ports.statements import Call, Origin, Statement
from storekit.ports.stores import AnswerLost, Session
from storekit.trace import step


class _InTransaction:
    """The ledger port over a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def pipeline(self, tenant: UUID, actor: str, statements: Sequence[Statement]) -> list[Any]:
        calls = [each for each in statements if isinstance(each, Call)]
        if len(calls) == len(statements):
            return await self._session.pipeline(calls)
        return await self._session.ask(tenant, statements)

    def session(self, tenant: UUID, origin: Origin, within: Any = None) -> Session:
        raise UsageError("a transaction is open already")

    async def close(self) -> None:
        """Do nothing: the unit ends the session."""


def inside(context: Context, session: Session) -> Context:
    """Return the context of a flow that runs inside a transaction."""
    return replace(context, transaction=_InTransaction(session))


async def begin(session: Session, calls: Sequence[Call]) -> list[Json]:
    """Begin the transaction, and send some calls in the same trip."""
    with step("postgres.begin"):
        return await _answered(session.begin(calls))


async def write(session: Session, call: Call) -> Json:
    """Send one call; if it fails, only this call is undone. One trip."""
    with step("postgres.flush"):
        (reply,) = await _answered(session.pipeline([call]))
    parsed: Json = reply
    return parsed


async def _answered(answers: Awaitable[list[Any]]) -> list[Any]:
    """Await replies to statements that commit no write, so that they can be repeated if a reply is lost.

    Raises:
        Unavailable: the connection broke.
    """
    try:
        return await answers
    except AnswerLost as error:
        raise Unavailable("postgres", error.why, detail=str(error)) from error


async def commit(session: Session, write_ids: Sequence[UUID], *, lent: bool) -> None:
    """Commit the transaction. One trip.

    Args:
        write_ids: the writes of the unit.
        lent: whether the user's own SQL ran on the connection. That SQL may have rolled back writes to a
            savepoint, so the commit then checks that all of them still exist.

    Raises:
        OutcomeUnknown: the connection broke after the commit was sent.
    """
    with step("postgres.commit"):
        try:
            await session.commit(write_ids if lent else [])
        except AnswerLost as error:
            raise OutcomeUnknown(write_ids[0] if write_ids else NIL) from error


async def end(session: Session) -> None:
    """Roll a transaction back, if it is still open, and return its connection to the pool in any case."""
    try:
        with step("postgres.rollback"):
            await session.rollback()
    except BaseException:
        # a listener of the step may have raised before the rollback ran; a second rollback does no harm
        await session.rollback()
        raise
