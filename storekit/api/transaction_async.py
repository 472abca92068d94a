"""The unit of work, awaited."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Self

from storekit.api.transaction import Planner

if TYPE_CHECKING:
    import psycopg


class AsyncTransaction(Planner):
    """As `Transaction`: what plans is called, what does I/O is awaited. Of one task at a time."""

    async def __aenter__(self) -> Self:
        return self._enter()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._unit.leave(error)

    async def flush(self) -> None:
        """As `Transaction.flush`."""
        await self._unit.flush()

    @property
    def connection(self) -> Awaitable[psycopg.AsyncConnection[Any]]:
        """As `Transaction.connection`: `connection = await tx.connection`."""
        return self._unit.connect()
