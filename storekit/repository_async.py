"""As `storekit.repository`, awaited: costs and errors are those of the synchronous colour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from storekit.assembly import Assembly
from storekit.flows.context import Actor
from storekit.flows.explain import explain
from storekit.flows.history import LONGEST, history
from storekit.flows.load import get, open_blob, read
from storekit.flows.remove import delete, restore
from storekit.flows.save import save, update
from storekit.flows.transition import transition
from storekit.flows.url import url, urls
from storekit.model.entity import Entity, require_table
from storekit.model.events import Event
from storekit.model.source import CHUNK
from storekit.ports import BlobStream, Runtime

T = TypeVar("T")
E = TypeVar("E", bound=Entity)


class AsyncRepository(Generic[E]):
    """As `Repository`; task-safe."""

    def __init__(self, ports: Assembly, actor: Actor, entity: type[E]) -> None:
        self._ports, self._entity, self._table = ports, entity, require_table(entity)
        self._actor = actor.acting_on(self._table)

    async def save(
        self, entity: E, *, idempotency_key: str | None = None, expected_version: int | None = None
    ) -> E:
        """As `Repository.save`, awaited. A task cancelled before the commit leaves nothing visible."""
        saved = await save(
            self._ports, self._actor, self._entity, [entity], idempotency_key, expected_version
        )
        return saved[0]

    async def save_many(self, entities: Iterable[E], *, idempotency_key: str | None = None) -> list[E]:
        """As `Repository.save_many`, awaited."""
        return await save(self._ports, self._actor, self._entity, list(entities), idempotency_key)

    async def get(self, ref_id: str, *, load: Sequence[str] = ()) -> E:
        """As `Repository.get`, awaited."""
        return await get(self._ports, self._actor, self._entity, ref_id, load)

    async def read(self, ref_id: str, field: str) -> bytes:
        """As `Repository.read`, awaited."""
        return await read(self._ports, self._actor, self._table, ref_id, field)

    @asynccontextmanager
    async def open(self, ref_id: str, field: str) -> AsyncIterator[AsyncBlobStream]:
        """As `Repository.open`: `async with calls.open(ref_id, "transcript") as stream`."""
        stream = await open_blob(self._ports, self._actor, self._table, ref_id, field)
        try:
            yield AsyncBlobStream(self._ports.runtime, stream)
        finally:
            stream.close()

    async def url(
        self,
        ref_id: str,
        field: str,
        *,
        expires_in: int = 900,
        download_as: str | None = None,
        inline: bool = False,
    ) -> str:
        """As `Repository.url`, awaited."""
        return await url(
            self._ports, self._actor, self._table, ref_id, field, expires_in, download_as, inline=inline
        )

    async def urls(
        self, ref_ids: Iterable[str], field: str, *, expires_in: int = 900, inline: bool = False
    ) -> dict[str, str]:
        """As `Repository.urls`, awaited."""
        return await urls(self._ports, self._actor, self._table, ref_ids, field, expires_in, inline=inline)

    async def update(
        self, ref_id: str, values: Mapping[str, Any], *, expected_version: int | None = None
    ) -> E:
        """As `Repository.update`, awaited."""
        return await update(self._ports, self._actor, self._entity, ref_id, values, expected_version)

    async def delete(self, ref_id: str, *, expected_version: int | None = None) -> None:
        """As `Repository.delete`, awaited."""
        await delete(self._ports, self._actor, self._entity, ref_id, expected_version)

    async def restore(self, ref_id: str, *, expected_version: int | None = None) -> E:
        """As `Repository.restore`, awaited."""
        return await restore(self._ports, self._actor, self._entity, ref_id, expected_version)

    async def transition(
        self, ref_id: str, to: str, *, reason: str | None = None, expected_version: int | None = None
    ) -> E:
        """As `Repository.transition`, awaited."""
        return await transition(self._ports, self._actor, self._entity, ref_id, to, reason, expected_version)

    async def history(self, ref_id: str, *, limit: int = LONGEST) -> list[Event]:
        """As `Repository.history`, awaited."""
        return await history(self._ports, self._actor, self._table, ref_id, limit)

    async def explain(self, ref_id: str) -> str:
        """As `Repository.explain`, awaited."""
        return await explain(self._ports, self._actor, self._table, ref_id)


class AsyncBlobStream:
    """The bytes of a blob as they arrive, read in the runtime's threads."""

    def __init__(self, runtime: Runtime, stream: BlobStream) -> None:
        self._runtime, self._stream = runtime, stream

    async def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; all that is left by default. The hash is checked at the end."""
        return await self._runtime.blocking(lambda: self._stream.read(size))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self.read(CHUNK):
            yield chunk
