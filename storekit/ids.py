"""The clock and the ids, in one place so that tests can replace them."""

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
    """Tell the time, aware and in UTC. Fences and leases never use it: they read `storekit.now()`."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """Make a uuid7: the first 48 bits are milliseconds, so new rows land at the end of an index."""
    return UUID(int=_stamped() & _UUID7_MASK | _UUID7_MARKS)


def new_ref_id() -> str:
    """Make a ULID: 26 characters, the only id that leaves in APIs and URLs.

    Those of one process are in the order in which they were made: a list by ref_id is one by creation.
    """
    value = _refs.next()
    # two characters at a time: half the work of a base 32 encoder
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


class _Ascending:
    """Never makes less than before; in one millisecond, by a step that nobody can guess."""

    def __init__(self) -> None:
        self._last = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Have a lock of its own in a forked child: a thread that is not there may have held the parent's."""
        self._lock = Lock()

    def next(self) -> int:
        fresh = _stamped()
        with self._lock:
            if fresh <= self._last:
                fresh = self._last + 1 + int.from_bytes(os.urandom(5), "big")
            self._last = fresh
        return fresh


_refs = _Ascending()
os.register_at_fork(after_in_child=_refs.begin_anew)


def _stamped() -> int:
    """Make 128 bits: 48 of milliseconds, then 80 of randomness."""
    return time.time_ns() // _MILLISECOND << 80 | int.from_bytes(os.urandom(10), "big")
