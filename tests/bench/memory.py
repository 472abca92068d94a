"""Memory of a separate process, as the kernel reports it."""

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
    """Run a module of the benchmark in a new process, with the stores in its environment."""
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
    """Return the resident memory of this process, in MB."""
    return _read("VmRSS")


def peak() -> float:
    """Return its peak memory, in MB. ru_maxrss is unsuitable: it starts at the peak of the parent."""
    return _read("VmHWM")


def _read(name: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024
