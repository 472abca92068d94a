"""An error in any step: nothing half visible, nothing leaked, and saving again gives one record."""

from __future__ import annotations

import threading
from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, Store
from storekit.testing.faults import InjectedError, Point, at, fail, observe
from tests.faults.entities import REQUESTS, Saved
from tests.faults.rig import Rig
from tests.support.adapters import COLOURS, opened, save

_COMMITTED = Point("after", "postgres.commit", 1)
_PUTS = 4
"""Threads that a store may have for its uploads here."""


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("request_", REQUESTS)
async def test_an_error_in_any_step_is_raised_and_the_same_objects_saved_again_are_one_record(
    rig: Rig, colour: str, request_: str
) -> None:
    """After an error in any step the same objects, or the same key, can be saved at once, and once only."""
    # one connection: were it leaked, the next save would not get any
    settings = rig.settings.model_copy(update={"pool_size": 1, "max_puts": _PUTS})
    async with opened(colour, settings) as store:
        with observe() as steps:
            await save(store, uuid4(), REQUESTS[request_](request_), "first")
        threads = threading.active_count()
        for point in steps.seen:
            objects = REQUESTS[request_](request_)
            await _fail_and_repeat(rig, store, objects, objects, None, point)
            await _fail_and_repeat(
                rig, store, REQUESTS[request_](request_), REQUESTS[request_](request_), "key", point
            )
        assert threading.active_count() <= threads + _PUTS


async def _fail_and_repeat(
    rig: Rig, store: Store | AsyncStore, first: Saved, again: Saved, key: str | None, point: Point
) -> None:
    tenant = uuid4()
    with at(point, fail), pytest.raises(InjectedError):
        await save(store, tenant, first, key)
    assert rig.reader.whole_records(tenant) == (len(first) if point == _COMMITTED else 0), point

    with observe() as steps:
        saved = await save(store, tenant, again, key)

    assert not steps.count("sleep"), f"{point}: this process knows that its former write has ended"
    assert [each.title for each in saved] == [each.title for each in first]
    assert rig.reader.whole_records(tenant) == len(first), point
    _assert_settled(rig, tenant, point)


def _assert_settled(rig: Rig, tenant: UUID, point: Point) -> None:
    assert rig.reader.writes(tenant, "pending") == 0, point
    assert rig.reader.writes(tenant, "committed") == 1, point
