"""The ports of a unit whose transaction has begun: Postgres is asked inside it, over its connection.

So a unit sees what it has written, and never waits for a second connection with locks in its hands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from storekit.errors import UsageError
from storekit.flows.context import Context, Ports, Unresolved
from storekit.ports.statements import Call, Statement
from storekit.ports.stores import Blobs, Documents, Ledger, Runtime, Session
from storekit.settings import Settings
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

    def session(self, tenant: UUID, actor: str, within: Any = None) -> Session:
        raise UsageError("a transaction is open already")

    async def close(self) -> None:
        """Leave that to the unit."""


async def end(session: Session) -> None:
    """Undo a transaction; its connection goes back whatever else fails."""
    try:
        with step("postgres.rollback"):
            await session.rollback()
    except BaseException:
        await session.rollback()
        raise


def inside(context: Context, session: Session) -> Context:
    """Return the context of a flow that runs inside a transaction."""
    return Context(_Inside(context.ports, session), context.actor)


class _Inside:
    """All ports as they are, but for Postgres."""

    def __init__(self, ports: Ports, session: Session) -> None:
        self._ports = ports
        self.ledger: Ledger = _InTransaction(session)

    @property
    def settings(self) -> Settings:
        return self._ports.settings

    @property
    def documents(self) -> Documents:
        return self._ports.documents

    @property
    def blobs(self) -> Blobs:
        return self._ports.blobs

    @property
    def runtime(self) -> Runtime:
        return self._ports.runtime

    @property
    def unresolved(self) -> Unresolved:
        return self._ports.unresolved

    async def ready(self, *, documents: bool, blobs: bool) -> None:
        await self._ports.ready(documents=documents, blobs=blobs)
