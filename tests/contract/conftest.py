"""The legs of the contract: the kinds of stores on which each test runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from storekit import AsyncStore, Store
from storekit.testing import Memory, async_memory_store, memory_store
from tests.contract.cannot_honour import CANNOT_HONOUR, LEG
from tests.contract.matrix_legs import MATRIX, behind_pgbouncer, postgres_15
from tests.contract.moto_leg import moto_store
from tests.support.clock import Clock
from tests.support.entities import ENTITIES
from tests.support.harness import Harness, over_http

IN_MEMORY = ("sync-memory", "async-memory")
_HERE = Path(__file__).parent
SERVERS = ("sync-servers", "async-servers")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect the tests of PgBouncer only with `--matrix`."""
    return (collection_path.name == "test_pgbouncer.py" and not config.option.matrix) or None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize each test of the contract with its legs: see `tests/README.md`."""
    if "harness" in metafunc.fixturenames:
        marks = {mark.name for mark in metafunc.definition.iter_markers()}
        metafunc.parametrize("leg", _legs(marks, matrix=metafunc.config.option.matrix))


def _legs(marks: set[str], *, matrix: bool) -> list[str]:
    if "refusals" in marks:
        return [*IN_MEMORY]
    legs = [*SERVERS, *(MATRIX if matrix else ())]
    if "sql" not in marks:
        legs += IN_MEMORY
    return [*legs, LEG] if "parts" in marks else legs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of all legs in one event loop, and mark those that moto and mongomock cannot pass."""
    for item in items:
        if item.path.parent == _HERE and "harness" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        function = getattr(item, "originalname", "")
        if item.name.endswith(f"[{LEG}]") and function in CANNOT_HONOUR:
            item.add_marker(pytest.mark.xfail(reason=CANNOT_HONOUR[function], strict=True))


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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def async_stores() -> AsyncIterator[dict[str, AsyncStore]]:
    """Keep the async stores of the servers open: to open one for each test takes longer than most tests."""
    opened: dict[str, AsyncStore] = {}
    yield opened
    for store in opened.values():
        await store.close()


@pytest.fixture
def harness(
    leg: str, async_stores: dict[str, AsyncStore], request: pytest.FixtureRequest
) -> Iterator[Harness]:
    """Build the harness of a leg, with a new tenant."""
    api, _, where = leg.partition("-")
    if where == "memory":
        memory = Memory()
        make = memory_store if api == "sync" else async_memory_store
        rival = memory_store(*ENTITIES, memory=memory)
        yield Harness(make(*ENTITIES, memory=memory), memory.fetch, memory.move_clock, rival=rival)
        return
    store: Store = request.getfixturevalue("embedded" if where == "servers" else where.replace("-", "_"))
    with Clock.of(store.settings).restored() as move_clock:
        if api == "async" and where not in async_stores:
            async_stores[where] = AsyncStore.open(store.settings)
        opened = store if api == "sync" else async_stores[where]
        yield Harness(opened, over_http, move_clock, rival=store)
