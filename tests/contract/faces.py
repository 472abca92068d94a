"""One awaitable face for both colours, so that each case is written once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from storekit import Repository
from storekit.ports import BlobStream


class Threaded:
    """A synchronous repository, each of its calls in a thread of its own."""

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


class ThreadedStream:
    """A synchronous stream with the face of an asynchronous one."""

    def __init__(self, stream: BlobStream) -> None:
        self._stream = stream

    async def read(self, size: int = -1) -> bytes:
        return await asyncio.to_thread(self._stream.read, size)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._stream:
            yield chunk
