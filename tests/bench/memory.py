"""Memory in a process of its own, as the kernel tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from storekit import Settings
from tests.bench.figures import NotRun
from tests.bench.imports import environment

_STATUS = Path("/proc/self/status")


def measure(settings: Settings, module: str, *arguments: object) -> list[float]:
    """Run a module of the bench afresh, with the stores in its environment, and answer what it prints."""
    if not _STATUS.exists():
        raise NotRun(f"{module} did not run: it reads {_STATUS}, which is Linux's")
    ran = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)],
        env={**os.environ, **environment(settings)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [float(word) for word in ran.stdout.split()]


def resident() -> float:
    """Tell what this process holds now, in MB."""
    return _read("VmRSS")


def peak() -> float:
    """Tell the most it has held, in MB. ru_maxrss will not do: it begins at the peak of the parent."""
    return _read("VmHWM")


def _read(name: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024
