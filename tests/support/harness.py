"""The harness of a contract test: a tenant on one leg, with its clock, HTTP client and count of steps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import UUID, uuid4

from storekit import AsyncStore, Entity, Store, trace
from storekit.bridge import settle
from storekit.testing.stores import Fetched
from tests.support.adapters import awaitable
from tests.support.entities import Call, Run

Fetch = Callable[[str], Fetched]


@dataclass
class Harness:
    """One leg of the contract, with a new tenant."""

    store: Store | AsyncStore
    browse: Fetch
    move_clock: Callable[[timedelta], None]
    tenant: UUID = field(default_factory=uuid4)
    rival: Store | None = None
    """A sync store on the same data, for another writer."""

    def repository(
        self, entity: type[Entity], *, tenant: UUID | str | None = None, actor: str = "user:tester"
    ) -> Any:
        """Return an awaitable repository, for a sync or async store."""
        return awaitable(self.store.scope(tenant=tenant or self.tenant, actor=actor).repository(entity))

    def unit(self, *, tenant: UUID | None = None, actor: str = "user:tester", **more: Any) -> Any:
        """Return an awaitable unit of work, for a sync or async store."""
        return awaitable(self.store.scope(tenant=tenant or self.tenant, actor=actor).transaction(**more))

    async def work(self, *asks: Callable[[Any], Any], **scope: Any) -> None:
        """Call functions in one unit of work."""
        async with self.unit(**scope) as tx:
            for ask in asks:
                await settle(ask(tx))

    async def cursor(self, name: str, *, tenant: UUID | None = None) -> Any:
        """Return an import cursor that has been read."""
        cursor = self.store.scope(tenant=tenant or self.tenant, actor="user:tester").cursor(name)
        await settle(cursor.read())
        return cursor

    async def fetch(self, url: str) -> Fetched:
        """Send a GET request to a URL."""
        return await asyncio.to_thread(self.browse, url)

    async def run(self) -> Run:
        """Save a run, to which other records can refer."""
        saved: Run = await self.repository(Run).save(Run(name="nightly"))
        return saved

    async def call(self, **values: Any) -> Call:
        """Save a call with a new run."""
        run = await self.run()
        saved: Call = await self.repository(Call).save(Call(run_id=run.id, **{"name": "search", **values}))
        return saved


def fail(tx: object) -> None:
    """Raise an error that is not storekit's, inside a unit of work."""
    raise ZeroDivisionError


@contextmanager
def steps() -> Iterator[Counter[str]]:
    """Count the steps that begin: trips, and local work as `local.<name>`."""
    seen: Counter[str] = Counter()

    def listener(name: str, phase: trace.Phase) -> None:
        if phase == "started":
            seen[name] += 1

    with trace.listen(listener):
        yield seen


def trips(seen: Counter[str]) -> dict[str, int]:
    """Return the counts without local work."""
    return {name: count for name, count in seen.items() if not name.startswith("local.")}


def over_http(url: str) -> Fetched:
    """Send a GET request with the standard library."""
    try:
        with urlopen(url, timeout=10) as response:
            headers = response.headers
            return Fetched(
                response.status,
                response.read(),
                headers["Content-Type"],
                headers.get("Content-Disposition", ""),
            )
    except HTTPError as error:
        with error:
            return Fetched(error.code)
