"""What a killed PostgreSQL leaves behind, which keeps the next one from starting."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from storekit.embedded.supervisor import birth

_PROC = Path("/proc")


def clear(data: Path) -> None:
    """End backends that outlived their postmaster, and forget its pid.

    A backend amid a long query notices late, and PostgreSQL rightly refuses to run beside it. The pid of the
    file may be another program's by now, as in a container that was killed and started again; PostgreSQL
    takes that for a postmaster. Where there is no /proc, PostgreSQL's own checks must do.
    """
    lock = data / "postmaster.pid"
    if not lock.exists() or not (_PROC / "self" / "cwd").exists():
        return
    found = _servers_in(data)
    if lock.read_text().partition("\n")[0] in map(str, found):
        return  # somebody runs it by hand: PostgreSQL will say so
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while any(birth(pid) for pid in found):
        time.sleep(0.01)
    lock.unlink()


def _servers_in(data: Path) -> list[int]:
    """Find the processes of PostgreSQL that work in a data directory: all of them make it their own."""
    found = []
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            program = os.readlink(process / "exe")
            if Path(program).name == "postgres" and os.path.samefile(process / "cwd", data):
                found.append(int(process.name))
    return found
