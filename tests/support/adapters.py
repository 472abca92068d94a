"""Adapters over the sync and the async API, with which a test is written once for both.

A test either awaits what `awaitable` returns, which runs a sync store's calls in threads, or calls the real
API and passes the result to `storekit.bridge.settle`, which awaits it if needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

from storekit import AsyncStore, Entity, Repository, Settings, Store, Transaction
from storekit.bridge import settle
from storekit.ports.stores import BlobStream

APIS = ("sync", "async")

E = TypeVar("E", bound=Entity)


@asynccontextmanager
async def opened(api: str, settings: Settings) -> AsyncIterator[Store | AsyncStore]:
    """Open a sync or async store: to the servers it is a process that never wrote before."""
    store = Store.open(settings) if api == "sync" else AsyncStore.open(settings)
    try:
        yield store
    finally:
        await settle(store.close())


def repository(
    store: Store | AsyncStore, tenant: UUID, entity: type[Entity], actor: str = "agent:writer"
) -> Any:
    """Return a repository; its methods return values, or awaitables of an async store."""
    return store.scope(tenant=tenant, actor=actor).repository(entity)


async def save(
    store: Store | AsyncStore, tenant: UUID, entities: Sequence[E], key: str | None = None
) -> list[E]:
    """Save one record by `save`, several by `save_many`."""
    records = repository(store, tenant, type(entities[0]))
    if len(entities) > 1:
        return list(await settle(records.save_many(entities, idempotency_key=key)))
    return [await settle(records.save(entities[0], idempotency_key=key))]


async def read_opened(manager: Any) -> Any:
    """Read all of what a sync or async `open` returns."""
    if hasattr(manager, "__enter__"):
        with manager as stream:
            return stream.read()
    async with manager as stream:
        return await stream.read()


def awaitable(found: Any) -> Any:
    """Return a repository or unit of work that can be awaited, for a sync or async store."""
    if isinstance(found, Repository):
        return Threaded(found)
    return ThreadedUnit(found) if isinstance(found, Transaction) else found


class Threaded:
    """A sync repository that runs each call in a thread."""

    def __init__(self, repository: Repository[Any]) -> None:
        self._repository = repository

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._repository, name)

        async def call(*arguments: Any, **keywords: Any) -> Any:
            return await asyncio.to_thread(method, *arguments, **keywords)

        return call

    @asynccontextmanager
    async def open(self, ref_id: str, field: str) -> AsyncIterator[ThreadedStream]:
        manager = self._repository.open(ref_id, field)
        stream = await asyncio.to_thread(manager.__enter__)
        try:
            yield ThreadedStream(stream)
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)


class ThreadedUnit:
    """A sync unit of work that runs calls with I/O in threads, and others directly."""

    def __init__(self, unit: Transaction) -> None:
        self._unit = unit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)

    async def flush(self) -> None:
        await asyncio.to_thread(self._unit.flush)

    async def __aenter__(self) -> ThreadedUnit:
        self._unit.__enter__()
        return self

    async def __aexit__(self, *raised: Any) -> bool | None:
        return await asyncio.to_thread(self._unit.__exit__, *raised)


class ThreadedStream:
    """A sync stream with the interface of an async one."""

    def __init__(self, stream: BlobStream) -> None:
        self._stream = stream

    async def read(self, size: int = -1) -> bytes:
        return await asyncio.to_thread(self._stream.read, size)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._stream:
            yield chunk
