"""The servers of the whole run, and the clock of its database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clock import MoveClock, clock_of
from entities import ENTITIES
from hypothesis import settings

from storekit import Store

# no test is a measure of time: a busy machine fails nothing
settings.register_profile("storekit", deadline=None)
settings.load_profile("storekit")

_SERVERS = {"embedded", "embedded_clock"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--matrix", action="store_true", help="run every leg of the contract: none may be missing"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs servers; parametrised tests say so by their leg."""
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        leg = getattr(item, "callspec", None) and item.callspec.params.get("leg")  # type: ignore[attr-defined]
        if used & _SERVERS or (leg and not str(leg).endswith("memory")):
            item.add_marker("servers")


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Run one stack of real servers for all tests, with the tables of `entities`."""
    with Store.embedded(tmp_path_factory.mktemp("stack"), entities=ENTITIES) as store:
        yield store


@pytest.fixture
def embedded_clock(embedded: Store) -> Iterator[MoveClock]:
    """Set the database's `storekit.now()` ahead; afterwards it tells the time again."""
    with clock_of(embedded.settings) as move:
        yield move
