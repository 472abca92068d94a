"""The clients of MongoDB: one for the sync API, one for each event loop of the async API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Protocol

from storekit.drivers.mongo.connect import connect
from storekit.settings import Settings


class Clients(Protocol):
    """The clients of one store."""

    async def client(self) -> Any:
        """Return the client to use here and now."""
        ...

    async def close(self) -> None: ...


class OneClient:
    """The client of the sync API, which all threads share."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def client(self) -> Any:
        return self._client

    async def close(self) -> None:
        self._client.close()


class ClientPerLoop:
    """The clients of the async API: a client of pymongo belongs to the event loop that used it first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # an invalid URL is reported now, not at the first call
        self._unused = [connect(settings, asynchronous=True)]
        self._open: dict[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[Any]]] = {}

    async def client(self) -> Any:
        """Return the client of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._open:
            await self._add(loop)
        return self._open[loop][0]

    async def _add(self, loop: asyncio.AbstractEventLoop) -> None:
        for over in [each for each in tuple(self._open) if each.is_closed()]:
            self._open.pop(over, None)
        try:
            client = self._unused.pop()
        except IndexError:  # another loop, perhaps in another thread, has taken it
            client = connect(self._settings, asynchronous=True)
        # A closed loop cannot close a client any more. `asyncio.run` and other runners end the async
        # generators of a loop before they close it, so the client is closed by one.
        opened = _closing(client)
        # anext does not suspend here, so no other task of the loop can add a client meanwhile
        self._open[loop] = await anext(opened), opened

    async def close(self) -> None:
        """Close the clients, also those of event loops in other threads."""
        running = asyncio.get_running_loop()
        while self._open:
            loop, (_, opened) = self._open.popitem()
            if loop is running:
                await opened.aclose()
            elif not loop.is_closed():
                asyncio.run_coroutine_threadsafe(opened.aclose(), loop)


async def _closing(client: Any) -> AsyncGenerator[Any]:
    try:
        yield client
    finally:
        await client.close()
