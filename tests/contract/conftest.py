"""The legs of the contract: each case runs on every one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from cannot_honour import CANNOT_HONOUR, LEG
from entities import ENTITIES
from moto_leg import moto_store
from world import World, over_http

from storekit import AsyncStore, Store
from storekit.testing import Memory, async_memory_store, memory_store

LEGS = ("sync-servers", "async-servers", "sync-memory", "async-memory", LEG)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect to fail what moto and mongomock cannot honour, and fail the run when they begin to."""
    for item in items:
        function = getattr(item, "originalname", "")
        if item.name.endswith(f"[{LEG}]") and function in CANNOT_HONOUR:
            item.add_marker(pytest.mark.xfail(reason=CANNOT_HONOUR[function], strict=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what moto and mongomock could not honour in this run."""
    failed = sorted({report.nodeid for report in terminalreporter.getreports("xfailed")})
    ours = [nodeid for nodeid in failed if nodeid.endswith(f"[{LEG}]")]
    if ours:
        terminalreporter.section(f"{len(ours)} cases that moto and mongomock cannot honour")
        for nodeid in ours:
            function = nodeid.rpartition("::")[2].partition("[")[0]
            terminalreporter.write_line(f"{function}: {CANNOT_HONOUR[function]}")


@pytest.fixture(params=LEGS)
def leg(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def moto(embedded: Store) -> Iterator[Store]:
    with moto_store(embedded.settings) as store:
        yield store


@pytest.fixture
def place(leg: str, request: pytest.FixtureRequest) -> World:
    """Lay out one leg; an asynchronous store is opened in the test's own loop."""
    colour, _, where = leg.partition("-")
    if where == "memory":
        memory = Memory()
        make = memory_store if colour == "sync" else async_memory_store
        return World(make(*ENTITIES, memory=memory), memory.fetch, memory.move_clock)
    embedded: Store = request.getfixturevalue("embedded")
    move_clock = request.getfixturevalue("embedded_clock")
    if where == "moto":
        return World(request.getfixturevalue("moto"), over_http, move_clock)
    store = embedded if colour == "sync" else AsyncStore.open(embedded.settings)
    return World(store, over_http, move_clock)


@pytest.fixture
async def world(place: World) -> AsyncIterator[World]:
    """Give a case its leg and a fresh tenant."""
    yield place
    if isinstance(place.store, AsyncStore):
        await place.store.close()
