"""Growth of memory while one large blob is saved, in a separate process.

python -m tests.bench.stream path|iterator MEGABYTES

saves to the stores of the environment, and prints the growth in MB and the seconds.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storekit import Settings, Store
from storekit.model.values.source import Content
from tests.bench.figures import Figure, Sides
from tests.bench.memory import measure, peak, resident
from tests.bench.records import ACTOR, TENANT, Attachment, attachment

_MB = 1 << 20


def stream(sides: Sides) -> Iterator[Figure]:
    """Save a blob from a file and from an iterator."""
    megabytes, note = (64, "--quick: not 512 MB") if sides.quick else (512, "")
    for form in "path", "iterator":
        grown, seconds = measure(sides.ours.ports.settings, "stream", form, megabytes)
        what = f"stream {megabytes} MB from {form}, memory"
        yield Figure(what, grown, "MB", 32.0, most=True, note=f"{seconds:.1f} s {note}")


def _measure(form: str, megabytes: int) -> None:
    with Store.open(Settings.from_env()) as store, _content(form, megabytes) as content:
        attachments = store.scope(tenant=TENANT, actor=ACTOR).repository(Attachment)
        attachments.save(attachment())
        before, began = resident(), time.perf_counter()
        saved = attachments.save(attachment(content))
        seconds = time.perf_counter() - began
        assert saved.content.size == megabytes * _MB
        print(peak() - before, seconds)


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
