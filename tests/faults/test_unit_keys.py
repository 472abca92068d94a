"""Units of work with a key, after kill -9 at any step and sent by many threads of two processes at once."""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from uuid import UUID, uuid4

import pytest

from storekit import Settings, Store
from storekit.testing.faults import Point, at, observe
from tests.faults.entities import hit, note, run
from tests.faults.servers import Servers
from tests.faults.units import KEYED, Work
from tests.faults.writers import Writers
from tests.support.adapters import APIS, opened

_KILLED = -9
_COMMITTED = Point("after", "postgres.commit", 1)
_FIRST_WAIT = Point("before", "sleep", 1)
_CASES = [
    pytest.param(api, kind, marks=[] if (api, kind) == ("sync", "with sql that counts") else pytest.mark.long)
    for api in APIS
    for kind in KEYED
]
_THREADS, _KEYS = 6, 300


@pytest.mark.parametrize(("api", "kind"), _CASES)
async def test_kill_a_unit_with_a_key_at_any_step(
    servers: Servers, writers: Writers, api: str, kind: str
) -> None:
    """Another process that sends the unit again completes it or finds it: one of each, SQL included."""
    async with opened(api, servers.settings) as survivor:
        work = await Work(survivor, uuid4(), "first").begin()
        with observe() as steps:
            await KEYED[kind](work)
        assert _COMMITTED in steps.seen
        for point in steps.seen:
            tenant = uuid4()
            assert writers.kill_at(point, api, kind, tenant, "key") == _KILLED, point
            expected = _expected(work, kind)
            assert servers.reader.records(tenant) == (expected if point == _COMMITTED else []), point
            for _ in range(2):
                again = await Work(survivor, tenant, "key").begin()
                with servers.clock.restored(), at(_FIRST_WAIT, partial(_end_lease, servers)):
                    await KEYED[kind](again)
                assert servers.reader.records(tenant) == expected, point
                # planned before the first flush in each kind; a replay ends the block there
                assert again.note.version == 1, point


def _expected(work: Work, kind: str) -> list[tuple[str, str, int]]:
    counted = [("leads", "deliveries=1", 1)] if kind == "with sql that counts" else []
    return sorted(work.expected(own_sql=kind == "with own sql") + counted)


def _end_lease(servers: Servers) -> None:
    servers.clock.move(servers.settings.lease + timedelta(seconds=1))


def send_units(environment: dict[str, str], tenant: UUID) -> Counter[str]:
    """Send every unit from each of six threads, and count the outcomes by key."""
    os.environ.update(environment)
    with Store.open(Settings.from_env()) as store, ThreadPoolExecutor(_THREADS) as threads:
        return sum(threads.map(partial(_send_all, store, tenant), range(_THREADS)), Counter())


def _send_all(store: Store, tenant: UUID, thread: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    scope = store.scope(tenant=tenant, actor=f"agent:{thread}")
    for n in range(_KEYS):
        found = note(f"note {n}")
        with scope.transaction(idempotency_key=f"key {n}") as tx:
            tx.save_many([found, run(f"run {n}")])
            tx.insert_ignore([hit(f"hit {n}")])
            if n % 2:
                tx.connection.execute(
                    "INSERT INTO leads AS t (number, score) VALUES (%s, 1) "
                    "ON CONFLICT (tenant_id, number) DO UPDATE SET score = t.score + 1",
                    [f"unit {n}"],
                )
        outcomes["replayed" if tx.replayed else "made"] += 1
        outcomes[f"ref {n} {found.ref_id}"] += 1
    return outcomes


@pytest.mark.long
def test_twelve_threads_of_two_processes_make_one_of_each(servers: Servers) -> None:
    """Each of 300 units is committed once, its SQL runs once, and all twelve senders get the same records."""
    tenant, began = uuid4(), time.monotonic()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        running = [processes.submit(send_units, servers.settings.to_env(), tenant) for _ in range(2)]
        total: Counter[str] = sum((each.result() for each in running), Counter())
    assert (total.pop("made"), total.pop("replayed")) == (_KEYS, (2 * _THREADS - 1) * _KEYS)
    assert [*total.values()] == [2 * _THREADS] * _KEYS, "every sender of a key got the same note"
    found = servers.reader.records(tenant)
    records = Counter(entity for entity, *_ in found)
    print(f"{time.monotonic() - began:.1f} s, {records}, {servers.reader.writes(tenant, 'aborted')} aborted")
    assert records == {
        "fault_notes": _KEYS, "runs": _KEYS, "hits": _KEYS, "leads": _KEYS // 2
    }  # fmt: skip
    assert all(label.endswith("=1") for entity, label, _ in found if entity == "leads")
