"""A stack does not age: the 300th start is as good as the first."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import pytest

from storekit import Blob, Entity, Store, blob
from tests.integration.test_embedded import wait_until_ended

STARTS = 300
SLOWER = 5.0
"""Seconds by which an upload may be slower than the first one, on a busy machine. In an old directory it took
13 to 19 s longer."""


class Aged(Entity, table="aged"):
    file: Annotated[Blob | None, blob(media_type="text/plain")] = None


@pytest.mark.long
def test_three_hundred_starts(tmp_path: Path) -> None:
    """The first save after each of 300 starts of one directory is as fast as that after the first start."""
    starts, saves = [], []
    tenant = uuid4()
    for number in range(STARTS):
        begin = time.perf_counter()
        with Store.embedded(tmp_path / "stack", entities=[Aged]) as store:
            started = time.perf_counter()
            records = store.scope(tenant=tenant, actor="a").repository(Aged)
            record = records.save(Aged(file=Blob(f"start {number}".encode())))
            saved = time.perf_counter()
            assert records.read(record.ref_id, "file") == f"start {number}".encode()
        wait_until_ended(tmp_path / "stack")
        starts.append(started - begin)
        saves.append(saved - started)
    for name, seconds in (("start", starts), ("first save", saves)):
        print(
            f"{name}: first {seconds[0]:.2f} s, median {statistics.median(seconds):.2f} s, "
            f"slowest {max(seconds):.2f} s, last {seconds[-1]:.2f} s"
        )
    assert max(saves) < saves[0] + SLOWER
    assert max(starts) < starts[0] + SLOWER
