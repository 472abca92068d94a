"""The clock of the fault tests' database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from storekit import Settings
from tests.support.clock import set_clock


class Clock:
    """Moves `storekit.now()` of one database."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def move(self, by: timedelta) -> None:
        """Set the clock ahead of the real one; zero sets it right."""
        set_clock(self._settings, by)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Set the clock right afterwards."""
        try:
            yield
        finally:
            self.move(timedelta())
