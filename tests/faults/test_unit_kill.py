"""kill -9 in any step of an import that reads a cursor: whoever runs it again comes to the same end."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, Store
from storekit.testing.faults import Point, observe
from tests.faults.rig import Rig
from tests.faults.units import FEED, KINDS, Work, import_feed
from tests.faults.writers import Writers
from tests.support.adapters import COLOURS, opened

_KILLED = -9
_COLOURS = ["sync", pytest.param("async", marks=pytest.mark.long)]


@pytest.mark.parametrize("colour", _COLOURS)
async def test_an_import_killed_at_any_step_and_run_again_comes_to_the_same_end(
    rig: Rig, writers: Writers, colour: str
) -> None:
    """After a death at any step each page is there whole or not at all, and a rerun completes each once."""
    async with opened(colour, rig.settings) as survivor:
        points, whole = await _uninterrupted(rig, survivor)
        for point in points:
            tenant = uuid4()
            assert writers.kill_at(point, colour, "import", tenant, "") == _KILLED, point
            _assert_whole_pages(rig, tenant, point)
            await import_feed(survivor, tenant)
            assert rig.reader.records(tenant) == whole, point
            await import_feed(survivor, tenant)
            assert rig.reader.records(tenant) == whole, f"{point}: a rerun changes nothing"


async def _uninterrupted(
    rig: Rig, store: Store | AsyncStore
) -> tuple[list[Point], list[tuple[str, str, int]]]:
    tenant = uuid4()
    with observe() as steps:
        await import_feed(store, tenant)
    whole = rig.reader.records(tenant)
    assert [told for entity, told, _ in whole if entity == "fault_deliveries"] == FEED
    assert ("fault_tallies", f"deliveries={len(FEED)}", 2) in whole
    assert ("storekit.cursor", f"feed={len(FEED)}", 2) in whole
    return steps.seen, whole


def _assert_whole_pages(rig: Rig, tenant: UUID, point: Point) -> None:
    found = rig.reader.records(tenant)
    there = sum(entity == "fault_deliveries" for entity, _, _ in found)
    pages = sum(entity == "fault_markers" for entity, _, _ in found)
    assert (there, pages) in {(0, 0), (3, 1), (5, 2)}, point
    told = {told for entity, told, _ in found if entity in {"fault_tallies", "storekit.cursor"}}
    assert told == ({f"deliveries={there}", f"feed={there}"} if there else set()), point


@pytest.mark.long
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_unit_killed_at_any_step_is_whole_or_not_there(
    rig: Rig, writers: Writers, colour: str, kind: str
) -> None:
    """Whatever a unit holds: before its commit nothing is visible, after it everything."""
    async with opened(colour, rig.settings) as store:
        work = await Work(store, uuid4()).begin()
        with observe() as steps:
            await KINDS[kind](work)
    for point in steps.seen:
        tenant = uuid4()
        assert writers.kill_at(point, colour, kind, tenant, "") == _KILLED, point
        committed = point == Point("after", "postgres.commit", 1)
        whole = work.whole(own_sql=kind == "with own sql")
        assert rig.reader.records(tenant) == (whole if committed else []), point
