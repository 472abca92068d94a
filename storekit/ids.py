"""The clock and the ids, in one place so that tests can replace them."""

from __future__ import annotations

import os
import re
import time
from base64 import b32encode
from datetime import UTC, datetime
from uuid import UUID

_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")
REF_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")
_MILLISECOND = 1_000_000


def now() -> datetime:
    """Tell the time, aware and in UTC. Fences and leases never use it: they read `storekit.now()`."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """Make a uuid7: the first 48 bits are milliseconds, so new rows land at the end of an index."""
    stamp = time.time_ns() // _MILLISECOND
    tail = int.from_bytes(os.urandom(10), "big")
    high = stamp << 16 | 0x7000 | (tail >> 68)
    low = 0x8000_0000_0000_0000 | (tail & 0x3FFF_FFFF_FFFF_FFFF)
    return UUID(int=high << 64 | low)


def new_ref_id() -> str:
    """Make a ULID: 26 characters, sortable by time, the only id that leaves in APIs and URLs."""
    stamp = time.time_ns() // _MILLISECOND
    value = stamp.to_bytes(6, "big") + os.urandom(10)
    return b32encode(bytes(4) + value)[6:].translate(_CROCKFORD).decode()
