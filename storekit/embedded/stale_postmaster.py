"""Remove what a killed PostgreSQL server has left and what would prevent the next one from starting."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from storekit.embedded.supervisor import start_time

_PROC = Path("/proc")


def clear(data: Path) -> None:
    """Kill backends whose postmaster was killed, and remove its lock file.

    A backend in a long query may run for some time after its postmaster has died, and PostgreSQL does not
    start beside it. The pid in the lock file may also belong to another program now, for example in a
    container that was restarted, and PostgreSQL would take that program for a running postmaster. Without
    /proc nothing is done, and the checks of PostgreSQL apply.
    """
    lock = data / "postmaster.pid"
    if not lock.exists() or not (_PROC / "self" / "cwd").exists():
        return
    found = _servers_in(data)
    if lock.read_text().partition("\n")[0] in map(str, found):
        return  # a postmaster is running on this data: PostgreSQL will report that
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while any(start_time(pid) for pid in found):
        time.sleep(0.01)
    lock.unlink()


def _servers_in(data: Path) -> list[int]:
    """Return the PostgreSQL processes of a data directory, which is the working directory of all of them."""
    found = []
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user
            program = os.readlink(process / "exe")
            if Path(program).name == "postgres" and os.path.samefile(process / "cwd", data):
                found.append(int(process.name))
    return found
