"""Sixteen workers change the same records at once, in every way: no change is lost or made twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.errors import DeadlockDetected

from storekit import AsyncStore, Conflict, Store, Unavailable, in_
from storekit.bridge import settle
from tests.faults.entities import hit, note, run
from tests.faults.servers import Servers
from tests.faults.units import unit
from tests.support.adapters import APIS, opened
from tests.support.entities import Hit, Lead

_WORKERS = 16
_TALLIES = [f"tally {n}" for n in range(8)]
_SECONDS = [1, pytest.param(60, marks=pytest.mark.long)]
_ENTITIES = ("fault_notes", "hits", "leads", "runs", "storekit.cursor")
_INCREMENT = "UPDATE leads SET score = score + 1 WHERE number = %s"


class _Acknowledged:
    """The changes that were acknowledged to workers: all of them must exist in the end, and no others."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.new: Counter[str] = Counter()
        self.moves = 0
        self.done: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()


class _Worker:
    """One of the workers; it records its acknowledged changes until the end."""

    def __init__(self, store: Store | AsyncStore, tenant: UUID, seed: int) -> None:
        self._store, self._tenant, self._number = store, tenant, seed
        self._random = random.Random(seed)
        self._scope: Any = store.scope(tenant=tenant, actor=f"agent:{seed}")
        self._tallies = self._scope.repository(Lead)
        self.acknowledged = _Acknowledged()

    async def work_until(self, end: float) -> None:
        """Run random operations; raise any error but a lost race or a deadlock."""
        jobs: list[Callable[[], Awaitable[None]]] = [
            self.compare_and_set, self.compare_and_set_many, self.own_sql, self.own_sql_and_saves,
            self.upsert, self.insert_ignore, self.insert_ignore_with_own_sql, self.move_cursor, self.parts,
        ]  # fmt: skip
        while time.monotonic() < end:
            job = self._random.choice(jobs)
            try:
                await job()
            except Conflict:
                self.acknowledged.errors[f"{job.__name__}: conflict"] += 1
            except (Unavailable, DeadlockDetected) as error:
                if "deadlock" not in str(error) or "own_sql" not in job.__name__:
                    raise  # without SQL of the user the deadlock should have been repeated internally
                self.acknowledged.errors[f"{job.__name__}: deadlock"] += 1
            else:
                self.acknowledged.done[job.__name__] += 1

    def _some(self, count: int) -> list[str]:
        return self._random.sample(_TALLIES, count)

    async def _loaded(self, names: list[str]) -> list[Lead]:
        found = {each.number: each for each in await settle(self._tallies.find({"number": in_(*names)}))}
        for each in found.values():
            each.score += 1
        return [found[name] for name in names]

    async def compare_and_set(self) -> None:
        names = self._some(2)
        loaded = await self._loaded(names)
        async with unit(self._store, self._tenant) as tx:
            tx.save_many(loaded)
        self.acknowledged.counts.update(names)

    async def compare_and_set_many(self) -> None:
        names = self._some(3)
        await settle(self._tallies.save_many(await self._loaded(names)))
        self.acknowledged.counts.update(names)

    async def own_sql(self) -> None:
        names = self._some(3)
        async with unit(self._store, self._tenant) as tx:
            connection = await settle(tx.connection)
            for name in names:
                await settle(connection.execute(_INCREMENT, [name]))
        self.acknowledged.counts.update(names)

    async def own_sql_and_saves(self) -> None:
        names = self._some(4)
        loaded = await self._loaded(names[:2])
        async with unit(self._store, self._tenant) as tx:
            tx.save(loaded[0])
            connection = await settle(tx.connection)
            for name in names[2:]:
                await settle(connection.execute(_INCREMENT, [name]))
            tx.save(loaded[1])
        self.acknowledged.counts.update(names)

    async def upsert(self) -> None:
        names = self._random.sample(["upserted 1", "upserted 2", "upserted 3"], 2)
        count = self._random.randrange(100)
        await settle(self._tallies.upsert([Lead(number=name, score=count) for name in names]))

    def _batch(self) -> list[Hit]:
        first = sum(self.acknowledged.done.values()) // 2
        return [Hit(external_id=f"event {first + self._random.randrange(8)}") for _ in range(4)]

    async def insert_ignore(self) -> None:
        batch = self._batch()
        batch[0] = hit(batch[0].external_id)
        new = await settle(self._scope.repository(Hit).insert_ignore(batch))
        self.acknowledged.new.update(each.external_id for each in new)

    async def insert_ignore_with_own_sql(self) -> None:
        before, after = self._batch(), self._batch()
        async with unit(self._store, self._tenant) as tx:
            tx.insert_ignore(before)
            await settle(tx.connection)
            tx.insert_ignore(after)
        self.acknowledged.new.update(
            each.external_id for each in (*before, *after) if each.version is not None
        )

    async def move_cursor(self) -> None:
        cursor = self._scope.cursor("feed")
        position = int(await settle(cursor.read()) or 0)
        async with unit(self._store, self._tenant) as tx:
            tx.save(run(f"move by {self._number} from {position}"))
            tx.advance(cursor, str(position + 1))
        self.acknowledged.moves += 1

    async def parts(self) -> None:
        (loaded,) = await self._loaded(names := self._some(1))
        async with unit(self._store, self._tenant) as tx:
            tx.save_many([note(f"note {uuid4()}"), loaded])
        self.acknowledged.counts.update(names)


async def _all_at_once(workers: list[_Worker], api: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    if api == "async":
        await asyncio.gather(*(worker.work_until(end) for worker in workers))
        return

    def alone(worker: _Worker) -> None:
        asyncio.run(worker.work_until(end))

    with ThreadPoolExecutor(_WORKERS) as threads:
        running = [asyncio.wrap_future(threads.submit(alone, worker)) for worker in workers]
        await asyncio.gather(*running)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("seconds", _SECONDS)
async def test_concurrent_workers_lose_no_change(servers: Servers, api: str, seconds: float) -> None:
    """Every acknowledged change exists once, with its event; a deadlock is raised only with user SQL."""
    tenant = uuid4()
    # fewer connections than workers: a worker that needed a second connection would wait for ever
    settings = servers.settings.model_copy(update={"pool_size": 6})
    async with opened(api, settings) as store:
        tallies: Any = store.scope(tenant=tenant, actor="agent:writer").repository(Lead)
        await settle(tallies.save_many([Lead(number=name) for name in _TALLIES]))
        workers = [_Worker(store, tenant, n) for n in range(_WORKERS)]
        await _all_at_once(workers, api, seconds)
    done, errors = _sum(workers, "done"), _sum(workers, "errors")
    print(f"{api}: {dict(sorted(done.items()))} {dict(sorted(errors.items()))}")
    _check(servers, tenant, workers)


def _check(servers: Servers, tenant: UUID, workers: list[_Worker]) -> None:
    counts, new = _sum(workers, "counts"), _sum(workers, "new")
    records = servers.reader.records(tenant)
    labels: dict[str, list[str]] = {entity: [] for entity in _ENTITIES}
    versions: dict[str, int] = {}
    for entity, text, version in records:
        labels[entity].append(text)
        versions[text] = version
    for name in _TALLIES:
        assert versions[f"{name}={counts[name]}"] == 1 + counts[name], name
    assert Counter(labels["hits"]) == new, "each event was new to exactly one"
    moves = sum(worker.acknowledged.moves for worker in workers)
    assert labels["storekit.cursor"] == [f"feed={moves}"]
    assert len(labels["runs"]) == moves
    assert len(labels["fault_notes"]) == _sum(workers, "done")["parts"]
    assert servers.reader.writes(tenant, "pending") == 0


def _sum(workers: list[_Worker], what: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for worker in workers:
        total.update(getattr(worker.acknowledged, what))
    return total
