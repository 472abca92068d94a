"""The legs of the contract: each case runs on every one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from storekit import AsyncStore, Store
from storekit.testing import Memory, async_memory_store, memory_store
from tests.contract.cannot_honour import CANNOT_HONOUR, LEG
from tests.contract.matrix_legs import behind_pgbouncer, lacking, legs, not_run, postgres_15
from tests.contract.moto_leg import moto_store
from tests.support.clock import Clock
from tests.support.entities import ENTITIES
from tests.support.harness import Harness, over_http

collect_ignore = ["test_pgbouncer.py"] if "pgbouncer" in lacking() else []
LEGS = ("sync-servers", "async-servers", "sync-memory", "async-memory", LEG)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each case of the contract on all legs that there are."""
    if "harness" in metafunc.fixturenames:
        all_legs = [*LEGS, *legs(matrix=metafunc.config.option.matrix)]
        sql = metafunc.definition.get_closest_marker("sql") is not None
        metafunc.parametrize("leg", [leg for leg in all_legs if not (sql and leg.endswith("memory"))])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Expect to fail what moto and mongomock cannot honour; refuse a matrix that would have gaps."""
    if config.option.matrix and lacking():
        raise pytest.UsageError(f"the matrix cannot run; apt-get install {' '.join(lacking())}")
    for item in items:
        function = getattr(item, "originalname", "")
        if item.name.endswith(f"[{LEG}]") and function in CANNOT_HONOUR:
            item.add_marker(pytest.mark.xfail(reason=CANNOT_HONOUR[function], strict=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what moto and mongomock could not honour in this run, and which legs it left out."""
    failed = sorted({report.nodeid for report in terminalreporter.getreports("xfailed")})
    ours = [nodeid for nodeid in failed if nodeid.endswith(f"[{LEG}]")]
    if ours:
        terminalreporter.section(f"{len(ours)} cases that moto and mongomock cannot honour")
        for nodeid in ours:
            function = nodeid.rpartition("::")[2].partition("[")[0]
            terminalreporter.write_line(f"{function}: {CANNOT_HONOUR[function]}")
    if not config.option.matrix:
        terminalreporter.section("legs that did not run, and what makes them run")
        for leg, remedy in not_run().items():
            terminalreporter.write_line(f"{leg}: {remedy}")


@pytest.fixture(scope="session")
def moto(embedded: Store) -> Iterator[Store]:
    with moto_store(embedded.settings) as store:
        yield store


@pytest.fixture(scope="session")
def postgres15(embedded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    directory = tmp_path_factory.mktemp("postgres15")
    with postgres_15(embedded.settings, directory) as settings, Store.open(settings) as store:
        yield store


@pytest.fixture(scope="session")
def pgbouncer(embedded: Store) -> Iterator[Store]:
    with behind_pgbouncer(embedded.settings) as settings, Store.open(settings) as store:
        yield store


@pytest.fixture(scope="session")
def pgbouncer_postgres15(postgres15: Store) -> Iterator[Store]:
    with behind_pgbouncer(postgres15.settings) as settings, Store.open(settings) as store:
        yield store


@pytest.fixture
def place(leg: str, request: pytest.FixtureRequest) -> Iterator[Harness]:
    """Lay out one leg; an asynchronous store is opened in the test's own loop."""
    colour, _, where = leg.partition("-")
    if where == "memory":
        memory = Memory()
        make = memory_store if colour == "sync" else async_memory_store
        yield Harness(make(*ENTITIES, memory=memory), memory.fetch, memory.move_clock)
        return
    store: Store = request.getfixturevalue("embedded" if where == "servers" else where.replace("-", "_"))
    with Clock.of(store.settings).restored() as move_clock:
        coloured = store if colour == "sync" else AsyncStore.open(store.settings)
        yield Harness(coloured, over_http, move_clock)


@pytest.fixture
async def harness(place: Harness) -> AsyncIterator[Harness]:
    """Give a case its leg and a fresh tenant."""
    yield place
    if isinstance(place.store, AsyncStore):
        await place.store.close()
