"""A pool is never larger than its settings say, and who cannot be served is told so, in time and by type."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from storekit import AsyncStore, Store, Unavailable
from storekit.bridge import settle
from tests.faults.entities import Marker, marker
from tests.faults.rig import Rig
from tests.faults.wire import wired
from tests.support.adapters import COLOURS, opened, repository, save
from tests.support.pool_connections import pool_of, seen

_CALLERS = 40
_SHORT = timedelta(seconds=0.2)
_NEVER = timedelta(hours=1)
BOTH = pytest.mark.parametrize("colour", COLOURS)


async def _at_once(store: Store | AsyncStore, callers: int = _CALLERS) -> list[str]:
    """Save so many records at the same time, by tasks or by threads."""
    tenant = uuid4()
    records = repository(store, tenant, Marker)
    titles = [f"{n}" for n in range(callers)]
    if isinstance(store, AsyncStore):
        done = await asyncio.gather(*(records.save(marker(title)) for title in titles))
    else:
        with ThreadPoolExecutor(callers) as threads:
            done = list(threads.map(lambda title: records.save(marker(title)), titles))
    return sorted((each.title for each in done), key=int)


async def _taken(store: Store | AsyncStore, count: int) -> list[Any]:
    taken = [await settle(pool_of(store).take()) for _ in range(count)]
    for each in taken:
        each.lent_to_unit = True
    return taken


async def _give_back(store: Store | AsyncStore, taken: list[Any]) -> None:
    for connection in taken:
        await settle(pool_of(store).give_back(connection))


@BOTH
async def test_a_pool_grows_to_its_size_and_every_caller_is_served(rig: Rig, colour: str) -> None:
    """40 callers at a pool of 3 are all served, by 3 connections."""
    with seen(rig.settings, pool_size=3) as server:
        async with opened(colour, server.settings) as store:
            assert await _at_once(store) == [f"{n}" for n in range(_CALLERS)]
            assert len(server.processes()) <= 3
            taken = await _taken(store, 3)
            assert len(server.processes()) == 3
            await _give_back(store, taken)
        server.come_to(0)


@BOTH
async def test_one_caller_needs_one_connection(rig: Rig, colour: str) -> None:
    """Calls one after the other use one connection, and it is kept alive by TCP."""
    with seen(rig.settings, pool_min=0) as server:
        async with opened(colour, server.settings) as store:
            for n in range(5):
                await save(store, uuid4(), [marker(f"{n}")])
            assert len(server.processes()) == 1
            (connection,) = await _taken(store, 1)
            told = connection.info.get_parameters()
            assert (told["keepalives"], told["keepalives_idle"]) == ("1", "30")
            await _give_back(store, [connection])


@BOTH
@pytest.mark.parametrize(("least", "left"), [(2, 2), (0, 0)])
async def test_what_is_idle_is_closed_down_to_the_least(rig: Rig, colour: str, least: int, left: int) -> None:
    """With each `pool_idle` one goes until `pool_min` are left, and the next call works."""
    with seen(rig.settings, pool_min=least, pool_idle=timedelta(seconds=0.05)) as server:
        async with opened(colour, server.settings) as store:
            await _give_back(store, await _taken(store, 6))
            await asyncio.to_thread(server.come_to, left)
            await save(store, uuid4(), [marker("after")])


@BOTH
async def test_a_closed_store_leaves_neither_a_thread_nor_a_task(rig: Rig, colour: str) -> None:
    """What watches for idle connections ends with the pool, not an hour later."""
    settings = rig.settings.model_copy(update={"pool_idle": _NEVER})
    before = set(threading.enumerate()), asyncio.all_tasks()
    async with opened(colour, settings) as store:
        await _give_back(store, await _taken(store, 3))
    assert asyncio.all_tasks() == before[1]
    for thread in set(threading.enumerate()) - before[0]:
        thread.join(20)
        assert not thread.is_alive()


@BOTH
async def test_a_busy_pool_is_told_from_an_unreachable_server(rig: Rig, colour: str) -> None:
    """All connections lent for longer than `pool_wait`: Unavailable says so, and names no server."""
    settings = rig.settings.model_copy(update={"pool_size": 2, "pool_wait": _SHORT})
    async with opened(colour, settings) as store:
        taken = await _taken(store, 2)
        with pytest.raises(Unavailable) as caught:
            await save(store, uuid4(), [marker("refused")])
        assert str(caught.value) == (
            "postgres is unavailable: all 2 connections are busy and none was returned within 0.2 s; "
            "raise POSTGRES_POOL_SIZE or shorten units of work; nothing was committed; call again"
        )
        assert caught.value.retryable
        assert caught.value.step == "postgres.commit"
        await _give_back(store, taken)
        await save(store, uuid4(), [marker("served")])


@BOTH
async def test_whoever_finds_the_queue_full_is_refused_at_once(rig: Rig, colour: str) -> None:
    """With one caller waiting where one may wait, the next does not, and the first is served."""
    with seen(rig.settings, pool_size=1, pool_queue=1, pool_wait=_NEVER) as server:
        async with opened(colour, server.settings) as store:
            taken = await _taken(store, 1)
            first = asyncio.create_task(_in_the_queue(store))
            await _someone_waits(store)
            with pytest.raises(Unavailable, match="at most 1 calls wait for one of 1") as caught:
                await save(store, uuid4(), [marker("refused")])
            assert "raise POSTGRES_POOL_SIZE" in str(caught.value)
            assert caught.value.step == "postgres.commit"
            await _give_back(store, taken)
            await _give_back(store, [await first])


async def _someone_waits(store: Store | AsyncStore) -> None:
    while not pool_of(store)._pool.get_stats()["requests_waiting"]:
        await asyncio.sleep(0)


async def _in_the_queue(store: Store | AsyncStore) -> Any:
    return await (
        pool_of(store).take() if isinstance(store, AsyncStore) else asyncio.to_thread(pool_of(store).take)
    )


@BOTH
async def test_who_waits_behind_a_server_that_went_away_is_told_of_the_server(rig: Rig, colour: str) -> None:
    """All connections broke, and no new one can be made: who waited and who comes are told of the server."""
    with wired(rig.settings, pool_size=2, pool_wait=_NEVER, timeout=timedelta(seconds=0.5)) as wire:
        async with opened(colour, wire.settings) as store:
            taken = await _taken(store, 2)
            early = asyncio.create_task(_in_the_queue(store))
            await _someone_waits(store)
            wire.postgres.refuse()
            for connection in taken:
                connection.end()
            await _give_back(store, taken)
            for waiting in (early, save(store, uuid4(), [marker("refused")])):
                with pytest.raises(
                    Unavailable, match=rf"no connection to 127.0.0.1:{wire.postgres.port} within"
                ):
                    await waiting
            wire.heal()
            await save(store, uuid4(), [marker("served")])


@BOTH
async def test_a_connection_that_the_server_ended_is_replaced_unnoticed(rig: Rig, colour: str) -> None:
    """Every process of a pool killed while idle: the next 40 callers notice nothing."""
    with seen(rig.settings, pool_size=4) as server:
        async with opened(colour, server.settings) as store:
            await _give_back(store, await _taken(store, 4))
            before = server.processes()
            assert len(before) == 4
            server.kill()
            assert len(await _at_once(store)) == _CALLERS
            assert not before & server.processes()
            assert len(server.processes()) <= 4


@BOTH
async def test_a_connection_in_the_midst_of_something_is_closed(rig: Rig, colour: str) -> None:
    """One that comes back with an open transaction is never lent again."""
    with seen(rig.settings, pool_size=1) as server:
        async with opened(colour, server.settings) as store:
            (connection,) = await _taken(store, 1)
            await settle(connection.execute("BEGIN"))
            before = server.processes()
            await _give_back(store, [connection])
            await save(store, uuid4(), [marker("served")])
            assert not before & server.processes()


@BOTH
async def test_without_prepared_statements_a_lent_connection_prepares_none(rig: Rig, colour: str) -> None:
    """With `prepare=False` neither storekit nor psycopg prepares: a pooler of transactions knows no names."""
    settings = rig.settings.model_copy(update={"prepare": False, "pool_size": 1})
    async with opened(colour, settings) as store:
        for n in range(3):
            await save(store, uuid4(), [marker(f"{n}")])
        (connection,) = await _taken(store, 1)
        for n in range(10):
            await settle(connection.execute("SELECT %s::int", [n]))
        cursor = await settle(connection.execute("SELECT count(*) FROM pg_prepared_statements"))
        assert await settle(cursor.fetchone()) == (0,)
        await _give_back(store, [connection])


async def test_tasks_that_stop_waiting_take_no_connection_with_them(rig: Rig) -> None:
    """Waiting tasks cancelled at any turn, also as they are served: the one connection is still there."""
    with seen(rig.settings, pool_size=1) as server:
        async with AsyncStore.open(server.settings) as store:
            pool = pool_of(store)
            for turns in range(8):
                taken = await _taken(store, 1)
                waiting = [asyncio.create_task(pool.take()) for _ in range(3)]
                await asyncio.sleep(0)
                await _give_back(store, taken)
                for _ in range(turns):
                    await asyncio.sleep(0)
                for task in waiting:
                    task.cancel()
                for task in waiting:
                    with suppress(asyncio.CancelledError):
                        await pool.give_back(await task)
            assert len(await _at_once(store)) == _CALLERS
            assert len(server.processes()) == 1


async def test_what_was_begun_for_a_cancelled_caller_serves_the_next(
    rig: Rig,
) -> None:
    """A connection that was on its way when its caller was cancelled is not lost, and none is made twice."""
    with seen(rig.settings, pool_size=1) as server:
        async with AsyncStore.open(server.settings) as store:
            task = asyncio.create_task(pool_of(store).take())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await save(store, uuid4(), [marker("served")])
            assert len(server.processes()) == 1
