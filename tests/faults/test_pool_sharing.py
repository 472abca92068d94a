"""One pool for each process, login and event loop, however many stores were opened, closed or forgotten."""

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
from tests.faults.entities import Marker, marker
from tests.faults.rig import Rig
from tests.support.adapters import COLOURS, opened, save
from tests.support.pool_connections import pool_of, seen

BOTH = pytest.mark.parametrize("colour", COLOURS)

_MODULE = """
from storekit import AsyncStore, Store, UsageError

store = (Store if colour == "sync" else AsyncStore).open(settings)
"""


async def _use(store: Store | AsyncStore) -> None:
    await save(store, uuid4(), [marker("used")])


@BOTH
async def test_a_module_that_is_executed_again_opens_no_more_connections(rig: Rig, colour: str) -> None:
    """A module that opens a store, run again 20 times without a close: one connection."""
    with seen(rig.settings, pool_min=0) as server:
        module: Any = types.ModuleType("service")
        module.colour, module.settings = colour, server.settings
        kept = []
        for n in range(20):
            exec(_MODULE, module.__dict__)
            await _use(module.store)
            kept.append(module.store)
            if n == 10:
                kept.clear()  # stores that nobody remembers, as well as those that somebody does
            assert len(server.processes()) == 1
        for store in kept:
            await settle(store.close())
        server.come_to(0)


@BOTH
async def test_closing_one_store_leaves_the_other_working(rig: Rig, colour: str) -> None:
    """Two stores of equal settings share a pool; it goes with the second."""
    with seen(rig.settings, pool_min=0) as server:
        async with opened(colour, server.settings) as first:
            async with opened(colour, server.settings) as second:
                await _use(first)
                await _use(second)
                assert pool_of(first) is pool_of(second)
            await _use(first)
            assert len(server.processes()) == 1
        server.come_to(0)
        async with opened(colour, server.settings) as third:
            await _use(third)


@BOTH
@pytest.mark.parametrize(
    "change", [{"pool_size": 7}, {"pool_wait": timedelta(seconds=7)}, {"prepare": False}], ids=str
)
async def test_stores_that_ask_otherwise_have_pools_of_their_own(
    rig: Rig, colour: str, change: dict[str, Any]
) -> None:
    """Another size, patience or habit is another pool; a setting that is none of Postgres's is not."""
    with seen(rig.settings, pool_min=0) as server:
        other = server.settings.model_copy(update=change)
        alike = server.settings.model_copy(update={"max_puts": 3})
        async with (
            opened(colour, server.settings) as a,
            opened(colour, other) as b,
            opened(colour, alike) as c,
        ):
            for store in (a, b, c):
                await _use(store)
            assert pool_of(a) is not pool_of(b)
            assert pool_of(a) is pool_of(c)
            assert len(server.processes()) == 2


@BOTH
async def test_a_connection_lent_as_the_last_store_closes_goes_when_it_is_given_back(
    rig: Rig, colour: str
) -> None:
    """Whoever still speaks ends in peace; nothing of a closed pool is left afterwards."""
    with seen(rig.settings, pool_min=0) as server:
        async with opened(colour, server.settings) as store:
            pool = pool_of(store)
            connection = await settle(pool.take())
            connection.lent_to_unit = True
        assert len(server.processes()) == 1
        await settle(connection.execute("SELECT 1"))
        await settle(pool.give_back(connection))
        server.come_to(0)


@BOTH
async def test_a_store_that_is_forgotten_leaves_nothing_on_the_server(rig: Rig, colour: str) -> None:
    """Stores dropped without a close take their connections with them."""
    with seen(rig.settings, pool_min=0) as server:
        store: Any = (Store if colour == "sync" else AsyncStore).open(server.settings)
        await _use(store)
        assert len(server.processes()) == 1
        del store
        gc.collect()
        server.come_to(0)


def test_an_asynchronous_store_may_be_used_in_one_event_loop_after_the_other(rig: Rig) -> None:
    """Each loop has its own connections, which close when it is over, even if something keeps their pool."""
    with seen(rig.settings, pool_min=0) as server:
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


def test_an_event_loop_may_end_while_connections_are_being_made(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever forgets to close is not held up: what is under way is given up with the loop."""
    caplog.set_level(logging.CRITICAL, "psycopg.pool")  # a record that is kept keeps the pool
    with seen(rig.settings, pool_min=20) as server:
        store = AsyncStore.open(server.settings)
        asyncio.run(_use(store))
        asyncio.run(store.close())
        gc.collect()
        server.come_to(0)


@BOTH
async def test_what_is_left_of_a_closed_store_opens_no_pool(rig: Rig, colour: str) -> None:
    """A call that was under way as its store closed is told so; it opens no connection that nobody closes."""
    with seen(rig.settings, pool_min=0) as server:
        async with opened(colour, server.settings) as store:
            await _use(store)
            pool = pool_of(store)
        with pytest.raises(UsageError, match="the store is closed"):
            await settle(pool.take())
        server.come_to(0)


def test_event_loops_in_two_threads_share_no_connection(rig: Rig) -> None:
    """One asynchronous store in two loops at once: each loop's tasks use their own connection."""
    with seen(rig.settings, pool_size=1) as server:
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
def test_the_stores_of_a_forked_child_share_a_pool_of_its_own(rig: Rig) -> None:
    """The child of a process with two stores opens one connection, closes it, and leaves its parent's."""
    with (
        seen(rig.settings, pool_min=0) as server,
        Store.open(server.settings) as one,
        Store.open(server.settings) as two,
    ):
        _save(one, two)
        before = server.processes()
        told, tell = os.pipe()
        go_on, let_go = os.pipe()
        child = os.fork()
        if child == 0:
            _be_a_child(tell, go_on, one, two)
        assert os.read(told, 1) == b"1"
        assert len(before) == len(server.processes() - before) == 1
        os.write(let_go, b"1")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        server.come_to(1)
        _save(one, two)
        assert server.processes() == before
        for end in (told, tell, go_on, let_go):
            os.close(end)


def _save(*stores: Store) -> None:
    for store in stores:
        store.scope(tenant=uuid4(), actor="test").repository(Marker).save(marker("used"))


def _be_a_child(tell: int, go_on: int, *stores: Store) -> None:
    status = 1
    try:
        _save(*stores)
        os.write(tell, b"1")
        os.read(go_on, 1)
        for store in stores:
            store.close()
        status = 0
    finally:
        os.write(tell, b"0")
        os._exit(status)
