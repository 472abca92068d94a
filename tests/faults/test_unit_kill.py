"""After kill -9 in any step of an import with a cursor, running it again gives the same result."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, Store
from storekit.testing.faults import Point, observe
from tests.faults.servers import Servers
from tests.faults.units import FEED, KINDS, Work, import_feed
from tests.faults.writers import Writers
from tests.support.adapters import APIS, opened

_KILLED = -9
_APIS = ["sync", pytest.param("async", marks=pytest.mark.long)]


@pytest.mark.parametrize("api", _APIS)
async def test_kill_an_import_at_any_step(servers: Servers, writers: Writers, api: str) -> None:
    """After a kill at any step each page is there completely or not at all; another run adds the rest."""
    async with opened(api, servers.settings) as survivor:
        points, expected = await _uninterrupted(servers, survivor)
        for point in points:
            tenant = uuid4()
            assert writers.kill_at(point, api, "import", tenant, "") == _KILLED, point
            _assert_complete_pages(servers, tenant, point)
            await import_feed(survivor, tenant)
            assert servers.reader.records(tenant) == expected, point
            await import_feed(survivor, tenant)
            assert servers.reader.records(tenant) == expected, f"{point}: a rerun changes nothing"


async def _uninterrupted(
    servers: Servers, store: Store | AsyncStore
) -> tuple[list[Point], list[tuple[str, str, int]]]:
    tenant = uuid4()
    with observe() as steps:
        await import_feed(store, tenant)
    expected = servers.reader.records(tenant)
    assert [label for entity, label, _ in expected if entity == "hits"] == FEED
    assert ("leads", f"deliveries={len(FEED)}", 2) in expected
    assert ("storekit.cursor", f"feed={len(FEED)}", 2) in expected
    return steps.seen, expected


def _assert_complete_pages(servers: Servers, tenant: UUID, point: Point) -> None:
    found = servers.reader.records(tenant)
    there = sum(entity == "hits" for entity, _, _ in found)
    pages = sum(entity == "runs" for entity, _, _ in found)
    assert (there, pages) in {(0, 0), (3, 1), (5, 2)}, point
    labels = {label for entity, label, _ in found if entity in {"leads", "storekit.cursor"}}
    assert labels == ({f"deliveries={there}", f"feed={there}"} if there else set()), point


@pytest.mark.long
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("kind", KINDS)
async def test_kill_a_unit_at_any_step(servers: Servers, writers: Writers, api: str, kind: str) -> None:
    """A kill before the commit leaves nothing of the unit visible, a later one everything."""
    async with opened(api, servers.settings) as store:
        work = await Work(store, uuid4()).begin()
        with observe() as steps:
            await KINDS[kind](work)
    for point in steps.seen:
        tenant = uuid4()
        assert writers.kill_at(point, api, kind, tenant, "") == _KILLED, point
        committed = point == Point("after", "postgres.commit", 1)
        expected = work.expected(own_sql=kind == "with own sql")
        assert servers.reader.records(tenant) == (expected if committed else []), point
