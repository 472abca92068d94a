"""The clock of a database, which tests move so that they need not wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Self

import psycopg

from storekit import Settings

MoveClock = Callable[[timedelta], None]


class Clock:
    """Replaces `storekit.now()` of one database, which all leases, fences and expiries use."""

    def __init__(self, admin_url: str) -> None:
        self._url = admin_url
        self._moved = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the clock of a store's database."""
        assert settings.postgres_admin_url is not None
        return cls(settings.postgres_admin_url.get_secret_value())

    def move(self, ahead: timedelta) -> None:
        """Set the clock ahead of the real time; zero resets it."""
        shift = f" + interval '{ahead.total_seconds()} seconds'" if ahead else ""
        with psycopg.connect(self._url) as connection:
            connection.execute("SET LOCAL ROLE storekit_owner")
            connection.execute(
                "CREATE OR REPLACE FUNCTION storekit.now() RETURNS timestamptz LANGUAGE sql STABLE "
                f"RETURN transaction_timestamp(){shift}".encode()
            )
        self._moved = bool(ahead)

    @contextmanager
    def restored(self) -> Iterator[MoveClock]:
        """Yield `move`, and reset the clock afterwards."""
        try:
            yield self.move
        finally:
            if self._moved:
                self.move(timedelta())

    @contextmanager
    def ahead(self, by: timedelta) -> Iterator[None]:
        """Set the clock ahead during a block."""
        with self.restored() as move:
            move(by)
            yield
