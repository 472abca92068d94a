"""The number of round trips of each call, counted by proxies, without connection set-up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, Blob, Entity, Store
from storekit.bridge import settle
from tests.faults.entities import Note, note, run
from tests.faults.servers import Servers
from tests.faults.wire import Wire, wired
from tests.support.adapters import APIS, opened, repository, save
from tests.support.entities import Wide


class _Trips:
    """Counts the round trips of one call at a time."""

    def __init__(self, wire: Wire, store: Store | AsyncStore, tenant: UUID) -> None:
        self._wire, self.store, self.tenant = wire, store, tenant

    async def of(self, call: Any) -> tuple[tuple[int, int, int], Any]:
        """Make a call; return its trips to Postgres, MongoDB and S3, and its result."""
        before = self._wire.flights
        result = await settle(call())
        postgres, mongo, s3 = (now - then for now, then in zip(self._wire.flights, before, strict=True))
        return (postgres, mongo, s3), result

    def of_class(self, entity: type[Entity]) -> Any:
        return repository(self.store, self.tenant, entity)


@asynccontextmanager
async def _connected(servers: Servers, api: str) -> AsyncIterator[_Trips]:
    """Open a store and let it make all connections that the calls will need."""
    with wired(servers.settings, pool_size=1) as wire:
        async with opened(api, wire.settings) as store:
            for _ in range(2):  # the second round finds every statement prepared
                await save(store, uuid4(), [_wide(10)])
                await save(store, uuid4(), [run("warm")])
                tenant = uuid4()
                warm = await save(store, tenant, [note("warm"), note("warmer")])
                await settle(repository(store, tenant, Note).get(warm[0].ref_id, load=["details"]))
            yield _Trips(wire, store, uuid4())


def _wide(parts: int) -> Wide:
    """Return a record with some of ten parts, in this order: a blob, a document, a blob, the others."""
    made: dict[str, Any] = {name: Blob(f"blob {name}") for name in "abcde"}
    made |= {name: {"document": n} for n, name in enumerate("fghij")}
    return Wide(**{name: made[name] for name in "afbcdeghij"[:parts]})


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("parts", "expected"), [(0, (1, 0, 0)), (1, (2, 0, 1)), (3, (2, 1, 2)), (10, (2, 2, 5))]
)
async def test_trips_of_a_save(
    servers: Servers, api: str, parts: int, expected: tuple[int, int, int]
) -> None:
    """A save is one Postgres trip; with parts two, plus one per blob and one per collection."""
    async with _connected(servers, api) as trips:
        counted, _ = await trips.of(lambda: trips.of_class(Wide).save(_wide(parts)))
    assert counted == expected


@pytest.mark.parametrize("api", APIS)
async def test_trips_of_batches_and_reads(servers: Servers, api: str) -> None:
    """save_many(200) is two Postgres trips around one wave; get, url and urls(100) are one."""
    async with _connected(servers, api) as trips:
        notes = trips.of_class(Note)
        counted, saved = await trips.of(lambda: notes.save_many([note(f"{n}") for n in range(200)]))
        assert (counted[0], counted[2]) == (2, 200)
        ref_ids = [each.ref_id for each in saved[:100]]
        # the second call of each finds its statement prepared
        for _ in range(2):
            got, _ = await trips.of(lambda: notes.get(ref_ids[0]))
            signed, _ = await trips.of(lambda: notes.url(ref_ids[0], "content"))
            many, urls = await trips.of(lambda: notes.urls(ref_ids, "content"))
            with_document, _ = await trips.of(lambda: notes.get(ref_ids[0], load=["details"]))
    assert len(urls) == 100
    assert (got, signed, many) == ((1, 0, 0),) * 3
    assert with_document == (1, 1, 0)
