"""One awaitable face for both colours, so that each case is written once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from storekit import Repository, Transaction
from storekit.ports.stores import BlobStream


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


class ThreadedUnit:
    """A synchronous unit of work: what plans is called, what does I/O runs in a thread."""

    def __init__(self, unit: Transaction) -> None:
        self._unit = unit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)

    async def flush(self) -> None:
        await asyncio.to_thread(self._unit.flush)

    async def __aenter__(self) -> ThreadedUnit:
        self._unit.__enter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await asyncio.to_thread(self._unit.__exit__, *raised)


class ThreadedStream:
    """A synchronous stream with the face of an asynchronous one."""

    def __init__(self, stream: BlobStream) -> None:
        self._stream = stream

    async def read(self, size: int = -1) -> bytes:
        return await asyncio.to_thread(self._stream.read, size)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._stream:
            yield chunk
