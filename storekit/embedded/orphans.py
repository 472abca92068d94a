"""Servers whose supervisor was killed: they are ended before new ones start."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

from storekit.embedded.supervisor import PATIENCE, birth


def end_orphans(record: Mapping[str, Any]) -> None:
    """End the servers of a killed supervisor's record: those alone that are still the processes it started.

    On Linux the kernel has told them already; elsewhere nobody has.
    """
    deadline = time.monotonic() + PATIENCE
    orphans = record.get("servers", {}).values()
    for each in orphans:
        _send(each, each["stop"])
    for each in orphans:
        while _lives(each):
            if time.monotonic() > deadline:
                _send(each, signal.SIGKILL)
            time.sleep(0.02)


def _lives(server: Mapping[str, Any]) -> bool:
    return server["birth"] is not None and birth(server["pid"]) == server["birth"]


def _send(server: Mapping[str, Any], number: int) -> None:
    if _lives(server):
        try:
            os.kill(server["pid"], number)
        except ProcessLookupError:
            return
