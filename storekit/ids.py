"""The clock and the ids, in one module so that tests can replace them."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from threading import Lock
from uuid import UUID

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(first + second for first in _CROCKFORD for second in _CROCKFORD)
REF_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")
_MILLISECOND = 1_000_000
_UUID7_MASK, _UUID7_MARKS = ~0xF000_C000_0000_0000_0000, 0x7000_8000_0000_0000_0000


def now() -> datetime:
    """Return the time, aware and in UTC.

    Leases and fences do not use it, as the clocks of two processes differ: they read `storekit.now()` in
    Postgres.
    """
    return datetime.now(UTC)


def new_id() -> UUID:
    """Return a new UUID of version 7: it begins with the time, so new rows go to the end of an index."""
    return UUID(int=_stamped() & _UUID7_MASK | _UUID7_MARKS)


def new_ref_id() -> str:
    """Return a new ULID: 26 characters, the id that APIs and URLs show.

    The ids of one process are ordered by creation, so a list by ref_id is a list by creation.
    """
    value = _refs.next()
    # two characters at a time, from a table of 1,024 pairs: half the work of a base 32 encoder
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


class _Ascending:
    """Source of ascending 128-bit numbers.

    A number that would not be greater than the last one (same millisecond, or a clock that was set back) is
    the last one plus a random step of up to 40 bits: ids stay ordered, and the next one cannot be guessed.
    """

    def __init__(self) -> None:
        self._last = 0
        self.reset_lock()

    def reset_lock(self) -> None:
        """Create the lock; again in a forked child, as a thread of the parent may hold it and does not exist
        there to release it."""
        self._lock = Lock()

    def next(self) -> int:
        fresh = _stamped()
        with self._lock:
            if fresh <= self._last:
                fresh = self._last + 1 + int.from_bytes(os.urandom(5), "big")
            self._last = fresh
        return fresh


_refs = _Ascending()
os.register_at_fork(after_in_child=_refs.reset_lock)


def _stamped() -> int:
    """Return 128 bits: 48 of milliseconds, then 80 random ones."""
    return time.time_ns() // _MILLISECOND << 80 | int.from_bytes(os.urandom(10), "big")
