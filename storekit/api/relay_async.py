"""The asynchronous relay: a worker beside the program that moves committed events to the log."""

from __future__ import annotations

from typing import Self

from storekit.assembly import Assembly
from storekit.errors import UsageError
from storekit.ports.stores import Background


class AsyncRelay:
    """Number the committed events of all tenants, in the background, for the time of a block.

    `store.relay()` returns it. Of all relays of a database one works at a time; if its process ends, another
    one takes over within 5 seconds. A write never waits for a relay.

    Cost: none for the calls of the store. The relay has a connection of its own, and looks for events every
    20 to 250 ms, and at once after a commit of its own process.

    Example:
        >>> async with store.relay():
        ...     saved = await acme.repository(Article).save(Article(slug="autumn"))
        ...     _ = await acme.wait_for(saved)
    """

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._worker: Background | None = None

    async def __aenter__(self) -> Self:
        if self._worker is not None:
            raise UsageError("the relay is running already; create another with store.relay()")
        self._worker = self._assembly.begin_relay()
        return self

    async def __aexit__(self, *_: object) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await self._assembly.end_relay(worker)
