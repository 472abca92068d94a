"""storekit's side: the sync and the async API, and one save divided into its steps."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

from storekit import AsyncStore, Settings, Store, trace
from storekit.api.repository import Repository
from storekit.assembly import Assembly
from storekit.bridge import run
from storekit.flows.context import Actor, Context
from storekit.ids import now
from storekit.model.values.source import MeasuredSource, opener
from storekit.ports.stores import BlobPut
from tests.bench.measure import Cost, Variant
from tests.bench.records import ACTOR, CONTENT, TENANT, Attachment, Report, attachment, report

T = TypeVar("T")


class Ours:
    """A store, and the jobs of the variants."""

    def __init__(self, settings: Settings) -> None:
        self._store = Store.open(settings)
        self.ports = Assembly(settings, asynchronous=False)
        scope = self._store.scope(tenant=TENANT, actor=ACTOR)
        self.reports, self.attachments = scope.repository(Report), scope.repository(Attachment)
        self._one_by_one = Assembly(settings, asynchronous=False, drivers={"runtime": _OneByOne()})
        self._apart = Repository(Context(self._one_by_one, Actor(TENANT, ACTOR)), Report)

    def save(self) -> str:
        """Save one new record."""
        return self.reports.save(report()).ref_id

    def save_attachment(self) -> str:
        """Save one new record without a document."""
        return self.attachments.save(attachment()).ref_id

    def save_many(self, count: int) -> None:
        """Save new records in one commit."""
        self.reports.save_many([report() for _ in range(count)])

    def put(self) -> None:
        """Put the content as a save does, including hashing."""
        assert run(self._put())

    def put_many(self, count: int) -> None:
        """Put contents in one wave and save nothing: the minimum cost of a batch."""
        run(self.ports.runtime.wave([self._put] * count, _no_beat, timedelta(minutes=1)))

    async def _put(self) -> str:
        source, moment, key = MeasuredSource(opener(CONTENT, 0)), now(), uuid4()
        until = moment + timedelta(seconds=60)
        put = BlobPut(f"ours/{TENANT}/{key}", source, "application/pdf", moment, until, key, moment)
        return await self.ports.blobs.put(put)

    def bound(self, count: int) -> Variant:
        """Add up stage, the slower of the two puts, and commit: the minimum cost of a save."""

        def variant() -> Cost:
            spent = Spent()
            with trace.listen(spent):
                for _ in range(count):
                    self._apart.save(report())
            slower = max(spent.by_step["s3.put"], spent.by_step["mongo.insert"])
            sum_ = spent.by_step["postgres.stage"] + slower + spent.by_step["postgres.commit"]
            return Cost(sum_ / count, 0.0)

        return variant

    def close(self) -> None:
        """Close every connection."""
        self._store.close()
        run(self.ports.close())
        run(self._one_by_one.close())


class OursAsync:
    """The async API, on an event loop of its own."""

    def __init__(self, settings: Settings) -> None:
        self._runner = asyncio.Runner()
        self._store = AsyncStore.open(settings)
        self.reports = self._store.scope(tenant=TENANT, actor=ACTOR).repository(Report)

    def times(self, count: int, job: Callable[[], Awaitable[object]]) -> Variant:
        """Await a job `count` times."""

        async def repeat() -> Cost:
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(count):
                await job()
            return Cost((time.perf_counter() - wall) / count, (time.process_time() - cpu) / count)

        return lambda: self._runner.run(repeat())

    async def save(self) -> None:
        """Save one fresh record."""
        await self.reports.save(report())

    def close(self) -> None:
        """Close every connection and the loop."""
        self._runner.run(self._store.close())
        self._runner.close()


class _OneByOne:
    """A runtime without waves: each put is made alone, in the caller's thread."""

    async def wave(
        self, puts: Sequence[Callable[[], Awaitable[T]]], beat: object, every: object, told: object = None
    ) -> list[T]:
        return [await put() for put in puts]

    async def blocking(self, work: Callable[[], T]) -> T:
        return work()

    async def close(self) -> None:
        """Close nothing."""


async def _no_beat() -> None:
    """Do nothing, because there is no lease."""


class Spent:
    """A listener that adds up the seconds of each step."""

    def __init__(self) -> None:
        self.by_step: dict[str, float] = defaultdict(float)

    def __call__(self, name: str, phase: str) -> None:
        self.by_step[name] += time.perf_counter() * (-1 if phase == "started" else 1)
