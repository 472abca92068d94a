"""kill -9 of the writer at any step leaves nothing half visible, and the same key gives one record."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, Store
from storekit.testing.faults import Point, at, observe
from tests.faults.entities import ALL_REQUESTS, LONG_REQUESTS, REQUESTS, titles
from tests.faults.servers import Servers
from tests.faults.writers import Writers
from tests.support.adapters import APIS, opened, save

_COMMITTED = Point("after", "postgres.commit", 1)
_FIRST_WAIT = Point("before", "sleep", 1)
_KILLED = -9
_REQUESTS = [*REQUESTS, *(pytest.param(name, marks=pytest.mark.long) for name in LONG_REQUESTS)]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("request_", _REQUESTS)
async def test_kill_at_any_step(servers: Servers, writers: Writers, api: str, request_: str) -> None:
    """A kill before the commit leaves nothing visible, a later one everything; the key gives one record."""
    async with opened(api, servers.settings) as survivor:
        with observe() as steps:
            await save(survivor, uuid4(), ALL_REQUESTS[request_](request_), "first")
        assert _COMMITTED in steps.seen
        for point in steps.seen:
            tenant = uuid4()
            assert writers.kill_at(point, api, request_, tenant, "key") == _KILLED, point
            await _survive(servers, survivor, request_, tenant, point)


async def _survive(
    servers: Servers, survivor: Store | AsyncStore, request_: str, tenant: UUID, point: Point
) -> None:
    expected = len(ALL_REQUESTS[request_](request_))
    assert servers.reader.complete_records(tenant) == (expected if point == _COMMITTED else 0), point
    pending = servers.reader.writes(tenant, "pending")

    with servers.clock.restored(), at(_FIRST_WAIT, lambda: _end_lease(servers)) as waiting:
        saved = await save(survivor, tenant, ALL_REQUESTS[request_](request_), "key")

    assert waiting.hit == bool(pending), f"{point}: only a pending write is waited for"
    assert titles(saved) == titles(ALL_REQUESTS[request_](request_))
    assert servers.reader.complete_records(tenant) == expected, point
    assert servers.reader.writes(tenant, "committed") == 1, point
    assert servers.reader.writes(tenant, "aborted") == pending, point


def _end_lease(servers: Servers) -> None:
    servers.clock.move(servers.settings.lease + timedelta(seconds=1))
