"""The servers of the whole run, and the clock of its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from entities import ENTITIES
from hypothesis import settings

from storekit import Settings, Store

# no test is a measure of time: a busy machine fails nothing
settings.register_profile("storekit", deadline=None)
settings.load_profile("storekit")

MoveClock = Callable[[timedelta], None]

_SERVERS = {"embedded", "embedded_clock"}


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

    moved = False

    def move(ahead: timedelta) -> None:
        nonlocal moved
        moved = True
        set_clock(embedded.settings, ahead)

    yield move
    if moved:
        move(timedelta())


def set_clock(settings: Settings, ahead: timedelta) -> None:
    """Replace `storekit.now()`, the only clock of fences, leases and expiries."""
    assert settings.postgres_admin_url is not None
    shift = f" + interval '{ahead.total_seconds()} seconds'" if ahead else ""
    with psycopg.connect(settings.postgres_admin_url.get_secret_value()) as connection:
        connection.execute("SET LOCAL ROLE storekit_owner")
        connection.execute(
            "CREATE OR REPLACE FUNCTION storekit.now() RETURNS timestamptz LANGUAGE sql STABLE "
            f"RETURN transaction_timestamp(){shift}".encode()
        )
