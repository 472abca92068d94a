"""A pool never exceeds its size, and a call that it cannot serve raises a typed error in time."""

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
from tests.faults.entities import run
from tests.faults.servers import Servers
from tests.faults.wire import wired
from tests.support.adapters import APIS, opened, repository, save
from tests.support.entities import Run
from tests.support.pool_connections import pool_of, seen

_CALLERS = 40
_SHORT = timedelta(seconds=0.2)
_NEVER = timedelta(hours=1)
BOTH = pytest.mark.parametrize("api", APIS)


async def _at_once(store: Store | AsyncStore, callers: int = _CALLERS) -> list[str]:
    """Save this many records at the same time, in tasks or threads."""
    tenant = uuid4()
    records = repository(store, tenant, Run)
    names = [f"{n}" for n in range(callers)]
    if isinstance(store, AsyncStore):
        done = await asyncio.gather(*(records.save(run(name)) for name in names))
    else:
        with ThreadPoolExecutor(callers) as threads:
            done = list(threads.map(lambda name: records.save(run(name)), names))
    return sorted((each.name for each in done), key=int)


async def _taken(store: Store | AsyncStore, count: int) -> list[Any]:
    return [await settle(pool_of(store).take()) for _ in range(count)]


async def _give_back(store: Store | AsyncStore, taken: list[Any]) -> None:
    for connection in taken:
        await settle(pool_of(store).give_back(connection))


@BOTH
async def test_a_pool_serves_more_callers_than_connections(servers: Servers, api: str) -> None:
    """40 callers of a pool of 3 are all served, by 3 connections."""
    with seen(servers.settings, pool_size=3) as server:
        async with opened(api, server.settings) as store:
            assert await _at_once(store) == [f"{n}" for n in range(_CALLERS)]
            assert len(server.processes()) <= 3
            taken = await _taken(store, 3)
            assert len(server.processes()) == 3
            await _give_back(store, taken)
        server.come_to(0)


@BOTH
async def test_one_caller_needs_one_connection(servers: Servers, api: str) -> None:
    """Sequential calls use one connection, which has TCP keep-alive."""
    with seen(servers.settings, pool_min=0) as server:
        async with opened(api, server.settings) as store:
            for n in range(5):
                await save(store, uuid4(), [run(f"{n}")])
            assert len(server.processes()) == 1
            (connection,) = await _taken(store, 1)
            parameters = connection.info.get_parameters()
            assert (parameters["keepalives"], parameters["keepalives_idle"]) == ("1", "30")
            await _give_back(store, [connection])


@BOTH
@pytest.mark.parametrize(("least", "left"), [(2, 2), (0, 0)])
async def test_idle_connections_are_closed_down_to_pool_min(
    servers: Servers, api: str, least: int, left: int
) -> None:
    """Each `pool_idle` closes one idle connection until `pool_min` are left, and the next call works."""
    with seen(servers.settings, pool_min=least, pool_idle=timedelta(seconds=0.05)) as server:
        async with opened(api, server.settings) as store:
            await _give_back(store, await _taken(store, 6))
            await asyncio.to_thread(server.come_to, left)
            await save(store, uuid4(), [run("after")])


@BOTH
async def test_a_closed_store_leaves_no_thread_and_no_task(servers: Servers, api: str) -> None:
    """The task that closes idle connections ends with the pool."""
    settings = servers.settings.model_copy(update={"pool_idle": _NEVER})
    before = set(threading.enumerate()), asyncio.all_tasks()
    async with opened(api, settings) as store:
        await _give_back(store, await _taken(store, 3))
    assert asyncio.all_tasks() == before[1]
    for thread in set(threading.enumerate()) - before[0]:
        thread.join(20)
        assert not thread.is_alive()


@BOTH
async def test_an_exhausted_pool_is_not_reported_as_an_unreachable_server(servers: Servers, api: str) -> None:
    """If all connections are busy for `pool_wait`, Unavailable says so, and names no server."""
    settings = servers.settings.model_copy(update={"pool_size": 2, "pool_wait": _SHORT})
    async with opened(api, settings) as store:
        taken = await _taken(store, 2)
        with pytest.raises(Unavailable) as caught:
            await save(store, uuid4(), [run("refused")])
        assert str(caught.value) == (
            "postgres is unavailable: all 2 connections are busy and none was returned within 0.2 s; "
            "raise pool_size (POSTGRES_POOL_SIZE) or pool_wait (POSTGRES_POOL_WAIT), or shorten units of "
            "work; nothing was committed; call again"
        )
        assert caught.value.detail is None
        assert caught.value.retryable
        assert caught.value.step == "postgres.commit"
        await _give_back(store, taken)
        await save(store, uuid4(), [run("served")])


@BOTH
async def test_a_full_queue_refuses_at_once(servers: Servers, api: str) -> None:
    """If one caller may wait and one is waiting, the next call fails at once, and the first is served."""
    with seen(servers.settings, pool_size=1, pool_queue=1, pool_wait=_NEVER) as server:
        async with opened(api, server.settings) as store:
            taken = await _taken(store, 1)
            first = asyncio.create_task(_in_the_queue(store))
            await _someone_waits(store)
            with pytest.raises(Unavailable, match="at most 1 calls wait for one of 1") as caught:
                await save(store, uuid4(), [run("refused")])
            assert "or pool_queue (POSTGRES_POOL_QUEUE)," in str(caught.value)
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
async def test_waiting_callers_get_the_servers_error(servers: Servers, api: str) -> None:
    """If all connections broke and none can be made, waiting and new callers get an error with the server."""
    with wired(servers.settings, pool_size=2, pool_wait=_NEVER, timeout=timedelta(seconds=0.5)) as wire:
        async with opened(api, wire.settings) as store:
            taken = await _taken(store, 2)
            early = asyncio.create_task(_in_the_queue(store))
            await _someone_waits(store)
            wire.postgres.refuse()
            for connection in taken:
                connection.end()
            await _give_back(store, taken)
            for waiting in (early, save(store, uuid4(), [run("refused")])):
                with pytest.raises(Unavailable, match="no connection to POSTGRES_URL within") as caught:
                    await waiting
                assert f"127.0.0.1:{wire.postgres.port}" in str(caught.value.detail)
            wire.heal()
            await save(store, uuid4(), [run("served")])


@BOTH
async def test_connections_closed_by_the_server_are_replaced(servers: Servers, api: str) -> None:
    """If every backend of an idle pool is killed, the next 40 calls succeed."""
    with seen(servers.settings, pool_size=4) as server:
        async with opened(api, server.settings) as store:
            await _give_back(store, await _taken(store, 4))
            before = server.processes()
            assert len(before) == 4
            server.kill()
            assert len(await _at_once(store)) == _CALLERS
            assert not before & server.processes()
            assert len(server.processes()) <= 4


@BOTH
async def test_a_connection_in_a_transaction_is_closed(servers: Servers, api: str) -> None:
    """A connection that is returned with an open transaction is not reused."""
    with seen(servers.settings, pool_size=1) as server:
        async with opened(api, server.settings) as store:
            (connection,) = await _taken(store, 1)
            await settle(connection.execute("BEGIN"))
            before = server.processes()
            await _give_back(store, [connection])
            await save(store, uuid4(), [run("served")])
            assert not before & server.processes()


@BOTH
async def test_prepare_false_prepares_no_statement(servers: Servers, api: str) -> None:
    """With `prepare=False` neither storekit nor psycopg prepares statements, as poolers require."""
    settings = servers.settings.model_copy(update={"prepare": False, "pool_size": 1})
    async with opened(api, settings) as store:
        for n in range(3):
            await save(store, uuid4(), [run(f"{n}")])
        (connection,) = await _taken(store, 1)
        for n in range(10):
            await settle(connection.execute("SELECT %s::int", [n]))
        cursor = await settle(connection.execute("SELECT count(*) FROM pg_prepared_statements"))
        assert await settle(cursor.fetchone()) == (0,)
        await _give_back(store, [connection])


async def test_cancelled_waiting_tasks_leak_no_connection(servers: Servers) -> None:
    """Waiting tasks can be cancelled at any moment, even while being served, without losing a connection."""
    with seen(servers.settings, pool_size=1) as server:
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


async def test_a_connection_made_for_a_cancelled_caller_is_reused(
    servers: Servers,
) -> None:
    """If a caller is cancelled while its connection is made, the next caller gets that connection."""
    with seen(servers.settings, pool_size=1) as server:
        async with AsyncStore.open(server.settings) as store:
            task = asyncio.create_task(pool_of(store).take())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await save(store, uuid4(), [run("served")])
            assert len(server.processes()) == 1
