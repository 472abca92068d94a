"""As `storekit.api.repository`, awaited: costs and errors are those of the synchronous colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from storekit.api.reader_async import AsyncReader
from storekit.flows.write.bulk import delete_many, insert_ignore, save_many, upsert
from storekit.flows.write.remove import delete, restore
from storekit.flows.write.save import save
from storekit.flows.write.transition import transition
from storekit.flows.write.update import update, update_many
from storekit.flows.write.upload import Progress
from storekit.model.declare.entity import Entity

T = TypeVar("T")
E = TypeVar("E", bound=Entity)


class AsyncRepository(AsyncReader[E]):
    """As `Repository`; task-safe."""

    async def save(
        self, entity: E, *, idempotency_key: str | None = None, expected_version: int | None = None
    ) -> E:
        """As `Repository.save`, awaited. A task cancelled before the commit leaves nothing visible."""
        saved = await save(self._context, self._entity, [entity], idempotency_key, expected_version)
        return saved[0]

    async def save_many(
        self, entities: Iterable[E], *, idempotency_key: str | None = None, progress: Progress | None = None
    ) -> list[E]:
        """As `Repository.save_many`."""
        many = list(entities)
        return await save_many(self._context, self._entity, many, idempotency_key, progress)

    async def upsert(self, entities: Iterable[E]) -> list[E]:
        """As `Repository.upsert`."""
        return await upsert(self._context, self._entity, list(entities))

    async def insert_ignore(self, entities: Iterable[E]) -> list[E]:
        """As `Repository.insert_ignore`."""
        return await insert_ignore(self._context, self._entity, list(entities))

    async def update(
        self, ref_id: str, values: Mapping[str, Any], *, expected_version: int | None = None
    ) -> E:
        """As `Repository.update`, awaited."""
        return await update(self._context, self._entity, ref_id, values, expected_version)

    async def update_many(self, values: Mapping[str, Mapping[str, Any]]) -> list[E]:
        """As `Repository.update_many`."""
        return await update_many(self._context, self._entity, values)

    async def delete(self, ref_id: str, *, expected_version: int | None = None) -> None:
        """As `Repository.delete`, awaited."""
        await delete(self._context, self._entity, ref_id, expected_version)

    async def delete_many(self, ref_ids: Iterable[str]) -> None:
        """As `Repository.delete_many`."""
        await delete_many(self._context, self._entity, ref_ids)

    async def restore(self, ref_id: str, *, expected_version: int | None = None) -> E:
        """As `Repository.restore`, awaited."""
        return await restore(self._context, self._entity, ref_id, expected_version)

    async def transition(
        self, ref_id: str, to: str, *, reason: str | None = None, expected_version: int | None = None
    ) -> E:
        """As `Repository.transition`, awaited."""
        return await transition(self._context, self._entity, ref_id, to, reason, expected_version)
