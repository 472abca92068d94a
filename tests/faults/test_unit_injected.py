"""An error or a cancellation in any step of a unit of work leaves all of it or nothing; a retry succeeds."""

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
from tests.faults.servers import Servers
from tests.faults.units import KINDS, Work
from tests.support.adapters import APIS, opened

pytestmark = pytest.mark.usefixtures("cancelled_sockets")
_OWN_SQL = "with own sql"
_COMMITTED = Point("after", "postgres.commit", 1)


@asynccontextmanager
async def _one_connection(servers: Servers, api: str) -> AsyncIterator[Store | AsyncStore]:
    """Open a store with one connection, so that a leak or a second connection makes the next call fail."""
    changes = {"pool_size": 1, "pool_min": 1, "pool_wait": timedelta(seconds=3)}
    async with opened(api, servers.settings.model_copy(update=changes)) as store:
        yield store


async def _points(store: Store | AsyncStore, kind: str) -> list[Point]:
    work = await Work(store, uuid4()).begin()
    with observe() as steps:
        await KINDS[kind](work)
    assert _COMMITTED in steps.seen
    return steps.seen


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_in_any_step_of_a_unit(servers: Servers, api: str, kind: str) -> None:
    """The error is raised, the objects are unchanged, and the same unit run again gives one record each."""
    async with _one_connection(servers, api) as store:
        for point in await _points(store, kind):
            work = await Work(store, uuid4()).begin()
            with at(point, fail), pytest.raises(InjectedError):
                await KINDS[kind](work)
            _assert_nothing_or_all(servers, work, kind, point, committed=point == _COMMITTED)
            await _repeat(servers, work, kind, point)


@pytest.mark.parametrize(
    "kind",
    [*(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS if kind != _OWN_SQL), _OWN_SQL],
)
async def test_cancelling_a_unit_in_any_step(servers: Servers, kind: str) -> None:
    """A cancelled unit is invisible or complete; unless its objects are saved it can be run again at once."""
    async with _one_connection(servers, "async") as store:
        for point in await _points(store, kind):
            work = await Work(store, uuid4()).begin()
            await _cancel_at(point, KINDS[kind](work))
            expected = work.expected(own_sql=kind == _OWN_SQL)
            assert servers.reader.records(work.tenant) in ([], expected), point
            if work.note.version is not None:
                assert servers.reader.records(work.tenant) == expected, point
                continue
            await _repeat(servers, work, kind, point)


async def _cancel_at(point: Point, working: Awaitable[None]) -> None:
    def cancel() -> None:
        task.cancel()

    with at(point, cancel) as steps:
        task = asyncio.ensure_future(working)
        with pytest.raises(asyncio.CancelledError):
            await task
    assert steps.hit, point


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_failure_during_the_rollback_leaks_nothing(
    servers: Servers, api: str, when: Literal["before", "after"]
) -> None:
    """After an error or a cancellation in the rollback the connection works and the objects can be saved."""
    async with _one_connection(servers, api) as store:
        work = await Work(store, uuid4()).begin()
        rollback = Point(when, "postgres.rollback", 1)
        with (
            at(Point("before", "postgres.commit", 1), fail),
            at(rollback, fail),
            pytest.raises(InjectedError),
        ):
            await work.with_own_sql()
        _assert_nothing_or_all(servers, work, _OWN_SQL, rollback, committed=False)
        if (api, when) == ("async", "before"):
            with at(Point("before", "postgres.commit", 1), fail):
                await _cancel_at(rollback, work.with_own_sql())
            _assert_nothing_or_all(servers, work, _OWN_SQL, rollback, committed=False)
        await _repeat(servers, work, _OWN_SQL, rollback)


def _assert_nothing_or_all(servers: Servers, work: Work, kind: str, point: Point, *, committed: bool) -> None:
    expected = work.expected(own_sql=kind == _OWN_SQL)
    assert servers.reader.records(work.tenant) == (expected if committed else []), point
    assert [each.version for each in work.objects] == [None] * len(work.objects), point


async def _repeat(servers: Servers, work: Work, kind: str, point: Point) -> None:
    await KINDS[kind](work)
    assert servers.reader.records(work.tenant) == work.expected(own_sql=kind == _OWN_SQL), point
    assert [each.version for each in work.objects] == [1] * len(work.objects), point
    assert work.cursor.position == "1"
    assert servers.reader.writes(work.tenant, "pending") == 0, point
