"""Both colours behind one face: a test is written once, and what is called is the real API of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

from storekit import AsyncStore, Entity, Settings, Store
from storekit.bridge import settle

COLOURS = ("sync", "async")

E = TypeVar("E", bound=Entity)


@asynccontextmanager
async def opened(colour: str, settings: Settings) -> AsyncIterator[Store | AsyncStore]:
    """Open a store of a colour: to the servers it is a process that never wrote before."""
    store = Store.open(settings) if colour == "sync" else AsyncStore.open(settings)
    try:
        yield store
    finally:
        await settle(store.close())


def repository(store: Store | AsyncStore, tenant: UUID, entity: type[Entity]) -> Any:
    """Take a repository; its methods answer values in one colour and awaitables in the other."""
    return store.scope(tenant=tenant, actor="agent:writer").repository(entity)


async def save(
    store: Store | AsyncStore, tenant: UUID, entities: Sequence[E], key: str | None = None
) -> list[E]:
    """Save one record by `save`, several by `save_many`."""
    records = repository(store, tenant, type(entities[0]))
    if len(entities) > 1:
        return list(await settle(records.save_many(entities, idempotency_key=key)))
    return [await settle(records.save(entities[0], idempotency_key=key))]
