"""An error or a cancellation in any step of a unit: nothing of it or all, and again gives one of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Literal
from uuid import uuid4

import pytest

from storekit import AsyncStore, Store
from storekit.testing.faults import InjectedError, Point, at, fail, observe
from tests.faults.rig import Rig
from tests.faults.units import KINDS, Work
from tests.support.adapters import COLOURS, opened

_OWN_SQL = "with own sql"
_COMMITTED = Point("after", "postgres.commit", 1)


@asynccontextmanager
async def _lonely(rig: Rig, colour: str) -> AsyncIterator[Store | AsyncStore]:
    """Open a store with one connection: were it leaked, or a second one needed, the next call would fail."""
    changes = {"pool_size": 1, "pool_min": 1, "pool_wait": timedelta(seconds=3)}
    async with opened(colour, rig.settings.model_copy(update=changes)) as store:
        yield store


async def _points(store: Store | AsyncStore, kind: str) -> list[Point]:
    work = await Work(store, uuid4()).begin()
    with observe() as steps:
        await KINDS[kind](work)
    assert _COMMITTED in steps.seen
    return steps.seen


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_in_any_step_of_a_unit_leaves_nothing_or_after_the_commit_all_of_it(
    rig: Rig, colour: str, kind: str
) -> None:
    """The error comes out, the objects are as they were, and the unit run again with them gives one each."""
    async with _lonely(rig, colour) as store:
        for point in await _points(store, kind):
            work = await Work(store, uuid4()).begin()
            with at(point, fail), pytest.raises(InjectedError):
                await KINDS[kind](work)
            _assert_nothing_or_all(rig, work, kind, point, committed=point == _COMMITTED)
            await _repeat(rig, work, kind, point)


@pytest.mark.parametrize(
    "kind",
    [*(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS if kind != _OWN_SQL), _OWN_SQL],
)
async def test_a_unit_cancelled_in_any_step_leaves_nothing_or_all_of_it(rig: Rig, kind: str) -> None:
    """A cancelled unit is invisible or whole; unless its objects know better it can be run again at once."""
    async with _lonely(rig, "async") as store:
        for point in await _points(store, kind):
            work = await Work(store, uuid4()).begin()
            await _cancel_at(point, KINDS[kind](work))
            whole = work.whole(own_sql=kind == _OWN_SQL)
            assert rig.reader.records(work.tenant) in ([], whole), point
            if work.note.version is not None:
                assert rig.reader.records(work.tenant) == whole, point
                continue
            await _repeat(rig, work, kind, point)


async def _cancel_at(point: Point, working: Awaitable[None]) -> None:
    def cancel() -> None:
        task.cancel()

    with at(point, cancel) as steps:
        task = asyncio.ensure_future(working)
        with pytest.raises(asyncio.CancelledError):
            await task
    assert steps.hit, point


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_second_failure_while_a_unit_is_undone_leaks_nothing(
    rig: Rig, colour: str, when: Literal["before", "after"]
) -> None:
    """An error or a cancellation in the rollback itself: the connection is back, the objects can be saved."""
    async with _lonely(rig, colour) as store:
        work = await Work(store, uuid4()).begin()
        rollback = Point(when, "postgres.rollback", 1)
        with (
            at(Point("before", "postgres.commit", 1), fail),
            at(rollback, fail),
            pytest.raises(InjectedError),
        ):
            await work.with_own_sql()
        _assert_nothing_or_all(rig, work, _OWN_SQL, rollback, committed=False)
        if (colour, when) == ("async", "before"):
            with at(Point("before", "postgres.commit", 1), fail):
                await _cancel_at(rollback, work.with_own_sql())
            _assert_nothing_or_all(rig, work, _OWN_SQL, rollback, committed=False)
        await _repeat(rig, work, _OWN_SQL, rollback)


def _assert_nothing_or_all(rig: Rig, work: Work, kind: str, point: Point, *, committed: bool) -> None:
    whole = work.whole(own_sql=kind == _OWN_SQL)
    assert rig.reader.records(work.tenant) == (whole if committed else []), point
    assert [each.version for each in work.objects] == [None] * len(work.objects), point


async def _repeat(rig: Rig, work: Work, kind: str, point: Point) -> None:
    await KINDS[kind](work)
    assert rig.reader.records(work.tenant) == work.whole(own_sql=kind == _OWN_SQL), point
    assert [each.version for each in work.objects] == [1] * len(work.objects), point
    assert work.cursor.position == "1"
    assert rig.reader.writes(work.tenant, "pending") == 0, point
