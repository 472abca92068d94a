"""Growth of memory while many records are saved at once, in a separate process.

python -m tests.bench.batch COUNT

saves to the stores of the environment, and prints in MB the size of the records before they are saved,
and the growth of memory beyond that; then the seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from storekit import Settings, Store
from tests.bench.figures import Figure, Sides
from tests.bench.memory import measure, peak, resident
from tests.bench.records import ACTOR, TENANT, Managed


def batch(sides: Sides) -> Iterator[Figure]:
    """Save 5,000 records in one write, and ten times as many, which take five writes."""
    for count in 5_000, 50_000:
        held, grown, seconds = measure(sides.ours.ports.settings, "batch", count)
        note = f"beside {held:.0f} MB of records; {count / seconds:,.0f} records/s"
        yield Figure(f"save_many({count:,}), memory", grown, "MB", note=note)


def _measure(count: int) -> None:
    with Store.open(Settings.from_env()) as store:
        repository = store.scope(tenant=TENANT, actor=ACTOR).repository(Managed)
        repository.save_many(_records(1))
        before = resident()
        records = _records(count)
        made, began = resident(), time.perf_counter()
        repository.save_many(records)
        print(made - before, peak() - made, time.perf_counter() - began)


def _records(count: int) -> list[Managed]:
    return [Managed(title="Q3", pages=12) for _ in range(count)]


if __name__ == "__main__":
    _measure(int(sys.argv[1]))
