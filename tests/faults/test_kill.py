"""kill -9 of the writer at every step: nothing half visible, and the same key again gives one record."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, Store
from storekit.testing.faults import Point, at, observe
from tests.faults.entities import ALL_REQUESTS, LONG_REQUESTS, REQUESTS
from tests.faults.rig import Rig
from tests.faults.writers import Writers
from tests.support.adapters import COLOURS, opened, save

_COMMITTED = Point("after", "postgres.commit", 1)
_FIRST_WAIT = Point("before", "sleep", 1)
_KILLED = -9
_REQUESTS = [*REQUESTS, *(pytest.param(name, marks=pytest.mark.long) for name in LONG_REQUESTS)]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("request_", _REQUESTS)
async def test_a_writer_killed_at_any_step_leaves_nothing_half_visible_and_its_key_gives_one_record(
    rig: Rig, writers: Writers, colour: str, request_: str
) -> None:
    """Before the commit nothing is visible, after it everything; the same key again gives one record."""
    async with opened(colour, rig.settings) as survivor:
        with observe() as steps:
            await save(survivor, uuid4(), ALL_REQUESTS[request_](request_), "first")
        assert _COMMITTED in steps.seen
        for point in steps.seen:
            tenant = uuid4()
            assert writers.kill_at(point, colour, request_, tenant, "key") == _KILLED, point
            await _survive(rig, survivor, request_, tenant, point)


async def _survive(rig: Rig, survivor: Store | AsyncStore, request_: str, tenant: UUID, point: Point) -> None:
    whole = len(ALL_REQUESTS[request_](request_))
    assert rig.reader.whole_records(tenant) == (whole if point == _COMMITTED else 0), point
    pending = rig.reader.writes(tenant, "pending")

    with rig.clock.restored(), at(_FIRST_WAIT, lambda: _end_lease(rig)) as waiting:
        saved = await save(survivor, tenant, ALL_REQUESTS[request_](request_), "key")

    assert waiting.hit == bool(pending), f"{point}: only a pending write is waited for"
    assert [each.title for each in saved] == [each.title for each in ALL_REQUESTS[request_](request_)]
    assert rig.reader.whole_records(tenant) == whole, point
    assert rig.reader.writes(tenant, "committed") == 1, point
    assert rig.reader.writes(tenant, "aborted") == pending, point


def _end_lease(rig: Rig) -> None:
    rig.clock.move(rig.settings.lease + timedelta(seconds=1))
