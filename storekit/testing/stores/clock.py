"""The clock of memory stores, which tests can move."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from storekit import ids

_MILLISECOND = timedelta(milliseconds=1)


class Clock:
    """The real time plus an offset, and the history of the offset.

    The time in an id is the real time of its process. `time_of` adds the offset of that moment, so that the
    age of an id is right by this clock, whether the clock was moved before or after the id was made.
    """

    def __init__(self) -> None:
        self._moves: list[tuple[datetime, timedelta]] = []
        """The real time of each move, and the offset from then on."""

    def now(self) -> datetime:
        """Return the time by this clock."""
        return ids.now() + (self._moves[-1][1] if self._moves else timedelta())

    def move(self, ahead: timedelta) -> None:
        """Set the offset to the real time."""
        self._moves.append((ids.now(), ahead))
        # An id contains its time in whole milliseconds: no id of this millisecond may follow the move.
        time.sleep(_MILLISECOND.total_seconds())

    def time_of(self, made: UUID) -> datetime:
        """Return when an id was made, by this clock. A uuid7 begins with its time in milliseconds."""
        real = datetime.fromtimestamp((made.int >> 80) / 1000, UTC)
        return real + next((ahead for moved, ahead in reversed(self._moves) if moved < real), timedelta())
