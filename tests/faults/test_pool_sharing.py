"""There is one pool per process, login and event loop, however many stores are open or dropped."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import types
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from storekit import AsyncStore, Store, UsageError
from storekit.bridge import settle
from tests.faults.entities import run
from tests.faults.servers import Servers
from tests.support.adapters import APIS, opened, save
from tests.support.entities import Run
from tests.support.pool_connections import pool_of, seen

BOTH = pytest.mark.parametrize("api", APIS)

_MODULE = """
from storekit import AsyncStore, Store, UsageError

store = (Store if api == "sync" else AsyncStore).open(settings)
"""


async def _use(store: Store | AsyncStore) -> None:
    await save(store, uuid4(), [run("used")])


@BOTH
async def test_reloading_a_module_opens_no_more_connections(servers: Servers, api: str) -> None:
    """A module that opens a store without closing it, run 20 times, uses one connection."""
    with seen(servers.settings, pool_min=0) as server:
        module: Any = types.ModuleType("service")
        module.api, module.settings = api, server.settings
        kept = []
        for n in range(20):
            exec(_MODULE, module.__dict__)
            await _use(module.store)
            kept.append(module.store)
            if n == 10:
                kept.clear()  # dropped stores as well as referenced ones
            assert len(server.processes()) == 1
        for store in kept:
            await settle(store.close())
        server.come_to(0)


@BOTH
async def test_closing_one_store_leaves_the_other_working(servers: Servers, api: str) -> None:
    """Two stores with equal settings share a pool, which closes with the second store."""
    with seen(servers.settings, pool_min=0) as server:
        async with opened(api, server.settings) as first:
            async with opened(api, server.settings) as second:
                await _use(first)
                await _use(second)
                assert pool_of(first) is pool_of(second)
            await _use(first)
            assert len(server.processes()) == 1
        server.come_to(0)
        async with opened(api, server.settings) as third:
            await _use(third)


@BOTH
@pytest.mark.parametrize(
    "change", [{"pool_size": 7}, {"pool_wait": timedelta(seconds=7)}, {"prepare": False}], ids=str
)
async def test_different_settings_give_different_pools(
    servers: Servers, api: str, change: dict[str, Any]
) -> None:
    """Another size, time-out or option gives another pool; settings of other servers do not."""
    with seen(servers.settings, pool_min=0) as server:
        other = server.settings.model_copy(update=change)
        alike = server.settings.model_copy(update={"max_puts": 3})
        async with (
            opened(api, server.settings) as a,
            opened(api, other) as b,
            opened(api, alike) as c,
        ):
            for store in (a, b, c):
                await _use(store)
            assert pool_of(a) is not pool_of(b)
            assert pool_of(a) is pool_of(c)
            assert len(server.processes()) == 2


@BOTH
async def test_a_connection_in_use_is_closed_when_it_is_returned(servers: Servers, api: str) -> None:
    """A call that runs while the last store closes can end; then its connection is closed."""
    with seen(servers.settings, pool_min=0) as server:
        async with opened(api, server.settings) as store:
            pool = pool_of(store)
            connection = await settle(pool.take())
        assert len(server.processes()) == 1
        await settle(connection.execute("SELECT 1"))
        await settle(pool.give_back(connection))
        server.come_to(0)


@BOTH
async def test_a_dropped_store_closes_its_connections(servers: Servers, api: str) -> None:
    """The connections of a store that was dropped without close() are closed."""
    with seen(servers.settings, pool_min=0) as server:
        store: Any = (Store if api == "sync" else AsyncStore).open(server.settings)
        await _use(store)
        assert len(server.processes()) == 1
        del store
        gc.collect()
        server.come_to(0)


def test_an_async_store_can_be_used_in_consecutive_event_loops(servers: Servers) -> None:
    """Each event loop has its own connections, closed once it has ended, whatever still references them."""
    with seen(servers.settings, pool_min=0) as server:
        store = AsyncStore.open(server.settings)
        kept = []  # as the traceback of an error would, until Python collects its garbage

        async def use() -> None:
            await _use(store)
            kept.append(pool_of(store))

        for _ in range(3):
            asyncio.run(use())
            server.come_to(1)
        asyncio.run(store.close())
        server.come_to(0)


def test_an_event_loop_can_end_while_connecting(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    """A program that does not close its store is not blocked: pending connections end with the loop."""
    caplog.set_level(logging.CRITICAL, "psycopg.pool")  # a captured log record references the pool
    with seen(servers.settings, pool_min=20) as server:
        store = AsyncStore.open(server.settings)
        asyncio.run(_use(store))
        asyncio.run(store.close())
        gc.collect()
        server.come_to(0)


@BOTH
async def test_a_closed_store_opens_no_pool(servers: Servers, api: str) -> None:
    """A call in progress while its store closes raises an error, and opens no connection."""
    with seen(servers.settings, pool_min=0) as server:
        async with opened(api, server.settings) as store:
            await _use(store)
            pool = pool_of(store)
        with pytest.raises(UsageError, match="the store is closed"):
            await settle(pool.take())
        server.come_to(0)


def test_event_loops_in_two_threads_share_no_connection(servers: Servers) -> None:
    """An async store that is used in two event loops at once has separate connections for each loop."""
    with seen(servers.settings, pool_size=1) as server:
        store = AsyncStore.open(server.settings)
        met = threading.Barrier(2, timeout=60)

        async def use() -> None:
            for _ in range(10):
                await _use(store)
            met.wait()
            assert len(server.processes()) == 2
            met.wait()

        other = threading.Thread(target=asyncio.run, args=[use()])
        other.start()
        asyncio.run(use())
        other.join()
        asyncio.run(store.close())
        server.come_to(0)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_its_own_pool(servers: Servers) -> None:
    """The stores of a forked child share one connection of the child, and leave the parent's open."""
    with (
        seen(servers.settings, pool_min=0) as server,
        Store.open(server.settings) as one,
        Store.open(server.settings) as two,
    ):
        _save(one, two)
        before = server.processes()
        ready_out, ready_in = os.pipe()
        go_on, let_go = os.pipe()
        child = os.fork()
        if child == 0:
            _be_a_child(ready_in, go_on, one, two)
        assert os.read(ready_out, 1) == b"1"
        assert len(before) == len(server.processes() - before) == 1
        os.write(let_go, b"1")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        server.come_to(1)
        _save(one, two)
        assert server.processes() == before
        for end in (ready_out, ready_in, go_on, let_go):
            os.close(end)


def _save(*stores: Store) -> None:
    for store in stores:
        store.scope(tenant=uuid4(), actor="test").repository(Run).save(run("used"))


def _be_a_child(ready_in: int, go_on: int, *stores: Store) -> None:
    status = 1
    try:
        _save(*stores)
        os.write(ready_in, b"1")
        os.read(go_on, 1)
        for store in stores:
            store.close()
        status = 0
    finally:
        os.write(ready_in, b"0")
        os._exit(status)
