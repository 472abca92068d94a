"""As `storekit.api.reader`, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from storekit.flows.context import Context
from storekit.flows.read.blobs import open_blob, read
from storekit.flows.read.explain import explain
from storekit.flows.read.find import count, find
from storekit.flows.read.history import LONGEST, history
from storekit.flows.read.load import get
from storekit.flows.read.url import url, urls
from storekit.model.declare.entity import Entity, require_table
from storekit.model.find.page import Page
from storekit.model.values.event import Event
from storekit.model.values.source import CHUNK
from storekit.ports.stores import BlobStream, Runtime

T = TypeVar("T")
E = TypeVar("E", bound=Entity)


class AsyncReader(Generic[E]):
    """As `Reader`; task-safe."""

    def __init__(self, context: Context, entity: type[E]) -> None:
        self._entity, self._table = entity, require_table(entity)
        self._context = context.acting_on(self._table)

    async def get(self, ref_id: str, *, load: Sequence[str] = ()) -> E:
        """As `Repository.get`, awaited."""
        return await get(self._context, self._entity, ref_id, load)

    async def find(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        limit: int = 50,
        after: str | None = None,
        load: Sequence[str] = (),
        deleted: bool = False,
        unindexed: bool = False,
    ) -> Page[E]:
        """As `Repository.find`, awaited."""
        return await find(
            self._context,
            self._entity,
            where,
            order_by,
            limit,
            after,
            load,
            deleted=deleted,
            unindexed=unindexed,
        )

    async def count(self, where: Mapping[str, Any] | None = None, *, deleted: bool = False) -> int:
        """As `Repository.count`, awaited."""
        return await count(self._context, self._entity, where, deleted=deleted)

    async def read(self, ref_id: str, field: str) -> bytes:
        """As `Repository.read`, awaited."""
        return await read(self._context, self._table, ref_id, field)

    @asynccontextmanager
    async def open(self, ref_id: str, field: str) -> AsyncIterator[AsyncBlobStream]:
        """As `Repository.open`: `async with calls.open(ref_id, "transcript") as stream`."""
        stream = await open_blob(self._context, self._table, ref_id, field)
        try:
            yield AsyncBlobStream(self._context.ports.runtime, stream)
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
        return await url(self._context, self._table, ref_id, field, expires_in, download_as, inline=inline)

    async def urls(
        self, ref_ids: Iterable[str], field: str, *, expires_in: int = 900, inline: bool = False
    ) -> dict[str, str]:
        """As `Repository.urls`, awaited."""
        return await urls(self._context, self._table, ref_ids, field, expires_in, inline=inline)

    async def history(self, ref_id: str, *, limit: int = LONGEST) -> list[Event]:
        """As `Repository.history`, awaited."""
        return await history(self._context, self._table, ref_id, limit)

    async def explain(self, ref_id: str) -> str:
        """As `Repository.explain`, awaited."""
        return await explain(self._context, self._table, ref_id)


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
