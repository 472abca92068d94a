"""How far memory grows while one large blob is saved, in a process of its own.

python -m tests.bench.stream path|iterator MEGABYTES

saves to the stores that the environment names, and prints the growth in MB and the seconds it took.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from storekit import Settings, Store
from storekit.model.source import Content
from tests.bench.imports import environment
from tests.bench.records import ACTOR, TENANT, Attachment, attachment

Form = Literal["path", "iterator"]

STATUS = Path("/proc/self/status")
_MB = 1 << 20


def growth(settings: Settings, form: Form, megabytes: int) -> tuple[float, float]:
    """Save a blob of that size, and answer the peak over the memory before it, in MB, and the seconds."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench.stream", form, str(megabytes)],
        env={**os.environ, **environment(settings)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    grown, seconds = map(float, ran.stdout.split())
    return grown, seconds


def _measure(form: str, megabytes: int) -> None:
    with Store.open(Settings.from_env()) as store, _content(form, megabytes) as content:
        attachments = store.scope(tenant=TENANT, actor=ACTOR).repository(Attachment)
        attachments.save(attachment())
        before, began = _memory("VmRSS"), time.perf_counter()
        saved = attachments.save(attachment(content))
        seconds = time.perf_counter() - began
        assert saved.content.size == megabytes * _MB
        print(_memory("VmHWM") - before, seconds)


def _memory(name: str) -> float:
    """Read a line of the kernel's, in MB. ru_maxrss will not do: it begins at the peak of the parent."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


@contextmanager
def _content(form: str, megabytes: int) -> Iterator[Content]:
    chunks = (os.urandom(_MB) for _ in range(megabytes))
    if form == "iterator":
        yield chunks
        return
    with tempfile.NamedTemporaryFile() as file:
        file.writelines(chunks)
        file.flush()
        yield Path(file.name)


if __name__ == "__main__":
    _measure(sys.argv[1], int(sys.argv[2]))
