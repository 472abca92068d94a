"""The legs of the contract: the kinds of stores on which each test runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storekit import AsyncStore, Store
from storekit.testing import Memory, async_memory_store, memory_store
from tests.contract.cannot_honour import CANNOT_HONOUR, LEG
from tests.contract.matrix_legs import MATRIX, behind_pgbouncer, postgres_15
from tests.contract.moto_leg import moto_store
from tests.support.clock import Clock
from tests.support.entities import ENTITIES
from tests.support.harness import Harness, over_http

IN_MEMORY = ("sync-memory", "async-memory")
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
    """Mark the tests that moto and mongomock cannot pass as expected failures."""
    for item in items:
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


@pytest.fixture
def leg_harness(leg: str, request: pytest.FixtureRequest) -> Iterator[Harness]:
    """Build the harness of one leg; an async store is opened in the event loop of the test."""
    api, _, where = leg.partition("-")
    if where == "memory":
        memory = Memory()
        make = memory_store if api == "sync" else async_memory_store
        rival = memory_store(*ENTITIES, memory=memory)
        yield Harness(make(*ENTITIES, memory=memory), memory.fetch, memory.move_clock, rival=rival)
        return
    store: Store = request.getfixturevalue("embedded" if where == "servers" else where.replace("-", "_"))
    with Clock.of(store.settings).restored() as move_clock:
        opened = store if api == "sync" else AsyncStore.open(store.settings)
        yield Harness(opened, over_http, move_clock, rival=store)


@pytest.fixture
async def harness(leg_harness: Harness) -> AsyncIterator[Harness]:
    """Return the harness of a leg, with a new tenant."""
    yield leg_harness
    if isinstance(leg_harness.store, AsyncStore):
        await leg_harness.store.close()
