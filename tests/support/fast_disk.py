"""Put the temporary files of the tests in memory, if the machine has room for them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30
"""Bytes that must be free: three workers use about 1 GiB."""


def use() -> None:
    """Set TMPDIR, unless the user has set it.

    The tests create and delete some 100,000 small files. On ext4 without a journal the search for inodes that
    were not deleted a moment ago took up to half of the CPU time of a test that creates databases.
    """
    if "TMPDIR" not in os.environ and _suitable():
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


def _suitable() -> bool:
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return False
    # Containers often mount it with 64 MB and without the right to run programs.
    room = found.f_bavail * found.f_frsize >= _ROOM
    return room and not found.f_flag & os.ST_NOEXEC and os.access(_MEMORY, os.W_OK)
