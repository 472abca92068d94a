"""The clock of a database, which tests move instead of waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg

from storekit import Settings

MoveClock = Callable[[timedelta], None]


@contextmanager
def clock_of(settings: Settings) -> Iterator[MoveClock]:
    """Give what sets a database's `storekit.now()` ahead; afterwards it tells the time again."""
    moved = False

    def move(ahead: timedelta) -> None:
        nonlocal moved
        moved = True
        set_clock(settings, ahead)

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
