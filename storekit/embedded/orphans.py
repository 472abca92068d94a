"""Stop servers whose supervisor was killed, before new ones start on the same data."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

from storekit.embedded.supervisor import PATIENCE, start_time


def end_orphans(record: Mapping[str, Any]) -> None:
    """Stop the servers in the record of a killed supervisor.

    A pid may have been reused since, so only a process with the recorded start time is stopped. On Linux the
    kernel has already signalled the servers when their parent died; other systems have no such signal.
    """
    deadline = time.monotonic() + PATIENCE
    orphans = record.get("servers", {}).values()
    for each in orphans:
        _send(each, each["stop"])
    for each in orphans:
        while _is_running(each):
            if time.monotonic() > deadline:
                _send(each, signal.SIGKILL)
            time.sleep(0.02)


def _is_running(server: Mapping[str, Any]) -> bool:
    return server["start_time"] is not None and start_time(server["pid"]) == server["start_time"]


def _send(server: Mapping[str, Any], number: int) -> None:
    if _is_running(server):
        try:
            os.kill(server["pid"], number)
        except ProcessLookupError:
            return
