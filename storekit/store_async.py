"""The asynchronous API: each method is one flow, awaited. Costs and errors are those of `storekit.store`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

from storekit.assembly import Assembly
from storekit.cursor import AsyncCursor
from storekit.errors import UsageError
from storekit.flows.context import Actor
from storekit.flows.lookup import Found, lookup
from storekit.flows.report import report
from storekit.lines import Line, Migration
from storekit.model.entity import Entity, require_table
from storekit.repository_async import AsyncRepository
from storekit.settings import Login, Settings
from storekit.setup import migrate
from storekit.transaction_async import AsyncTransaction

if TYPE_CHECKING:
    import psycopg

    from storekit.hosting import Hosting

T = TypeVar("T")
E = TypeVar("E", bound=Entity)


class AsyncStore:
    """As `Store`, for one event loop."""

    def __init__(
        self,
        settings: Settings | None,
        hosting: Hosting | None = None,
        drivers: Mapping[str, Any] | None = None,
    ) -> None:
        self._hosting = hosting
        self._assembly = Assembly(settings, asynchronous=True, drivers=drivers) if settings else None

    @classmethod
    def open(cls, settings: Settings | None = None) -> Self:
        """As `Store.open`. No I/O."""
        return cls(settings or Settings.from_env())

    @classmethod
    def embedded(cls, path: str | PathLike[str], entities: Iterable[type[Entity]] = ()) -> Self:
        """As `Store.embedded`; the servers start on enter, in a thread."""
        from storekit.hosting import Hosting

        return cls(None, Hosting(Path(path), list(entities)))

    async def __aenter__(self) -> Self:
        if self._hosting is not None and self._assembly is None:
            settings = await _in_thread(self._hosting.start)
            self._assembly = Assembly(settings, asynchronous=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """As `Store.close`, awaited."""
        if self._assembly is not None:
            await self._assembly.close()
        if self._hosting is not None:
            await _in_thread(self._hosting.stop)
            self._assembly = None

    def scope(self, *, tenant: UUID | str | None, actor: str) -> AsyncScope:
        """As `Store.scope`. No I/O."""
        return AsyncScope(self._ports.opened(), Actor.of(tenant, actor))

    def admin(self, *, actor: str) -> AsyncScope:
        """As `Store.admin`. No I/O."""
        return AsyncScope(self._ports.opened().acting_as(Login.ADMIN), Actor.of_admin(actor))

    async def lookup(self, entity: type[Entity], value: str) -> Found | None:
        """As `Store.lookup`, awaited."""
        return await lookup(self._ports.opened(), require_table(entity), value)

    async def report(self, name: str, *, actor: str) -> list[dict[str, Any]]:
        """As `Store.report`, awaited."""
        return await report(self._ports.opened().acting_as(Login.REPORTER), name, Actor.of_admin(actor))

    async def migrate(
        self, lines: Sequence[Line] = (), *, to: tuple[str, int] | None = None, dry_run: bool = False
    ) -> list[Migration]:
        """As `Store.migrate`, in a thread."""
        settings = self._ports.opened().settings
        return await _in_thread(lambda: migrate(settings, lines, to=to, dry_run=dry_run))

    @property
    def settings(self) -> Settings:
        """Where the stores are."""
        return self._ports.settings

    @property
    def _ports(self) -> Assembly:
        if self._assembly is None:
            raise UsageError("enter the embedded store first: async with AsyncStore.embedded(path) as store")
        return self._assembly


class AsyncScope:
    """As `Scope`; task-safe."""

    def __init__(self, ports: Assembly, actor: Actor) -> None:
        self._ports, self._actor = ports, actor

    def repository(self, entity: type[E]) -> AsyncRepository[E]:
        """As `Scope.repository`. No I/O."""
        return AsyncRepository(self._ports.opened(), self._actor, entity)

    def transaction(self, *, within: psycopg.AsyncConnection[Any] | None = None) -> AsyncTransaction:
        """As `Scope.transaction`: `async with scope.transaction() as tx`. No I/O."""
        return AsyncTransaction(self._ports.opened(), self._actor, within)

    def cursor(self, name: str) -> AsyncCursor:
        """As `Scope.cursor`. No I/O."""
        return AsyncCursor(self._ports.opened(), self._actor, name)


async def _in_thread(work: Callable[[], T]) -> T:
    import asyncio  # the synchronous colour never needs it, and it is a fifth of the import time

    return await asyncio.to_thread(work)
