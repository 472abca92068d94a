"""The database's clock, which tests move instead of waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
from psycopg import sql

_REPLACE = sql.SQL(
    "CREATE OR REPLACE FUNCTION storekit.now() RETURNS timestamptz LANGUAGE sql STABLE "
    "RETURN transaction_timestamp() + {}::interval"
)


class Clock:
    """Moves `storekit.now()` of one database, as the owner of the schema may."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url

    def move(self, by: timedelta) -> None:
        """Set the clock ahead of the real one; zero sets it right."""
        with psycopg.connect(self._admin_url) as connection:
            connection.execute("SET ROLE storekit_owner")
            connection.execute(_REPLACE.format(sql.Literal(f"{by.total_seconds()} seconds")))

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Set the clock right afterwards."""
        try:
            yield
        finally:
            self.move(timedelta())
