"""The servers of the whole run, and the clock of its database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from storekit import Store
from tests.side_by_side import pytest_pyfunc_call
from tests.support.clock import Clock, MoveClock
from tests.support.entities import ENTITIES

# no test is a measure of time: a busy machine fails nothing
settings.register_profile("storekit", deadline=None)
settings.load_profile("storekit")

__all__ = ["pytest_pyfunc_call"]

_SERVERS = {"embedded", "embedded_clock"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--matrix", action="store_true", help="run every leg of the contract: none may be missing"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "side_by_side(threads): runs while the others of its module wait")
    config.addinivalue_line("markers", "long: takes minutes; left out unless -m names it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is long, and mark what needs servers; parametrised tests say so by their leg."""
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
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Run one stack of real servers for all tests, with the tables of `entities`."""
    with Store.embedded(tmp_path_factory.mktemp("stack"), entities=ENTITIES) as store:
        yield store


@pytest.fixture
def embedded_clock(embedded: Store) -> Iterator[MoveClock]:
    """Set the database's `storekit.now()` ahead; afterwards it tells the time again."""
    with Clock.of(embedded.settings).restored() as move:
        yield move
