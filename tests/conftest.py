"""The servers that all tests share, and the clock of their database."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

from storekit import Store
from tests.contract.matrix_legs import missing_packages
from tests.support import fast_disk
from tests.support.clock import Clock, MoveClock
from tests.support.entities import ENTITIES
from tests.support.stacks import Stacks

# without a deadline: a busy machine must not fail a test
settings.register_profile("storekit", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=200)
settings.load_profile("storekit")

fast_disk.use()
gc.set_threshold(100_000, 20, 100)  # the default takes a fifth of the CPU time of the tests
pytest_plugins = ["tests.support.summary"]

_SERVERS = {"embedded", "embedded_clock"}
_LONGEST_FIRST = ("acceptance", "integration", "faults", "security", "contract", "generated", "unit")
"""Folders by the time that one file takes: a long file that starts last leaves the other workers idle."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--matrix", action="store_true", help="run the contract on Postgres 15 and behind PgBouncer too"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Stop if a package that the matrix needs is missing."""
    if config.option.matrix and missing_packages():
        raise pytest.UsageError(f"the matrix cannot run; apt-get install {' '.join(missing_packages())}")


def pytest_collection_finish() -> None:
    """Let garbage collections skip all that exists before the first test."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)  # after the random order
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect long tests, and mark the tests that need servers."""
    items.sort(key=lambda item: _LONGEST_FIRST.index(item.nodeid.split("/")[1]))
    if "long" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        leg = getattr(item, "callspec", None) and item.callspec.params.get("leg")  # type: ignore[attr-defined]
        if used & _SERVERS or (leg and not str(leg).endswith("memory")):
            item.add_marker("servers")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the stack of real servers that all tests of a worker use."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def embedded(stack: Path) -> Iterator[Store]:
    """Start the servers, and create the tables of `entities`."""
    with Store.embedded(stack, entities=ENTITIES) as store:
        # Hypothesis takes the random numbers of a pool that connects in another thread for those of a test.
        store.scope(tenant=uuid4(), actor="test").wait_for(datetime.now(UTC), timeout=60)
        yield store


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """Prepare directories in which a stack starts in half the time; all workers copy one model."""
    base = tmp_path_factory.getbasetemp()
    return Stacks(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture
def embedded_clock(embedded: Store) -> Iterator[MoveClock]:
    """Return a function that moves the clock of the database; afterwards the clock is reset."""
    with Clock.of(embedded.settings).restored() as move:
        yield move
