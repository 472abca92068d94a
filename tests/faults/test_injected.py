"""An error in any step leaves nothing half visible and leaks nothing, and saving again gives one record."""

from __future__ import annotations

import threading
from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, Store
from storekit.testing.faults import InjectedError, Point, at, fail, observe
from tests.faults.entities import REQUESTS, Saved, titles
from tests.faults.servers import Servers
from tests.support.adapters import APIS, opened, save

_COMMITTED = Point("after", "postgres.commit", 1)
_PUTS = 4
"""The number of upload threads of a store in these tests."""


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("request_", REQUESTS)
async def test_an_error_in_any_step_is_raised_and_can_be_retried(
    servers: Servers, api: str, request_: str
) -> None:
    """After an error in any step, saving the same objects, or the same key, gives one record."""
    # with one connection a leak makes the next save fail
    settings = servers.settings.model_copy(update={"pool_size": 1, "max_puts": _PUTS})
    async with opened(api, settings) as store:
        with observe() as steps:
            await save(store, uuid4(), REQUESTS[request_](request_), "first")
        threads = threading.active_count()
        for point in steps.seen:
            objects = REQUESTS[request_](request_)
            await _fail_and_repeat(servers, store, objects, objects, None, point)
            await _fail_and_repeat(
                servers, store, REQUESTS[request_](request_), REQUESTS[request_](request_), "key", point
            )
        assert threading.active_count() <= threads + _PUTS


async def _fail_and_repeat(
    servers: Servers, store: Store | AsyncStore, first: Saved, again: Saved, key: str | None, point: Point
) -> None:
    tenant = uuid4()
    with at(point, fail), pytest.raises(InjectedError):
        await save(store, tenant, first, key)
    assert servers.reader.complete_records(tenant) == (len(first) if point == _COMMITTED else 0), point

    with observe() as steps:
        saved = await save(store, tenant, again, key)

    assert not steps.count("sleep"), f"{point}: this process knows that its former write has ended"
    assert titles(saved) == titles(first)
    assert servers.reader.complete_records(tenant) == len(first), point
    _assert_settled(servers, tenant, point)


def _assert_settled(servers: Servers, tenant: UUID, point: Point) -> None:
    assert servers.reader.writes(tenant, "pending") == 0, point
    assert servers.reader.writes(tenant, "committed") == 1, point
