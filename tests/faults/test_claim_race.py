"""Workers of two processes that share a queue: each record is taken once, and no attempt is refused."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from uuid import UUID, uuid4

import pytest

from storekit import Settings, Store
from tests.faults.servers import Servers
from tests.support.entities import Job, JobStatus

_WORKERS, _JOBS = 8, 2000


def work(environment: dict[str, str], tenant: UUID, workers: int) -> tuple[list[str], int]:
    """Claim until nothing is left, and return the ref_ids and the number of calls."""
    os.environ.update(environment)
    with Store.open(Settings.from_env()) as store, ThreadPoolExecutor(workers) as threads:
        done = list(threads.map(partial(_claim_all, store, tenant), range(workers)))
    return [ref_id for taken, _ in done for ref_id in taken], sum(calls for _, calls in done)


def _claim_all(store: Store, tenant: UUID, worker: int) -> tuple[list[str], int]:
    jobs = store.scope(tenant=tenant, actor=f"worker:{worker}").repository(Job)
    taken: list[str] = []
    calls = 1
    # any refused attempt is an error that fails the test
    while found := jobs.claim({"status": JobStatus.QUEUED}, JobStatus.RUNNING, limit=1):
        taken += [job.ref_id for job in found]
        calls += 1
    return taken, calls


@pytest.mark.long
def test_eight_workers_take_each_of_2000_records_once(servers: Servers) -> None:
    """Each record moves once, with one event, by the worker that got it; a call never comes back refused."""
    tenant = uuid4()
    with Store.open(servers.settings) as store:
        jobs = store.scope(tenant=tenant, actor="test").repository(Job)
        saved = jobs.save_many([Job(name="x") for _ in range(_JOBS)])
        began = time.monotonic()
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
            each = _WORKERS // 2
            running = [processes.submit(work, servers.settings.to_env(), tenant, each) for _ in range(2)]
            done = [one.result() for one in running]
        taken, calls = [ref_id for found, _ in done for ref_id in found], sum(many for _, many in done)
        seconds = time.monotonic() - began
        print(f"{len(taken)} records by {calls} claims of {_WORKERS} workers in {seconds:.1f} s, 0 refused")
        assert sorted(taken) == sorted(job.ref_id for job in saved)
        assert calls == _JOBS + _WORKERS, "each call but the last one of a worker got a record"
        assert jobs.count({"status": JobStatus.RUNNING, "version": 2}) == _JOBS
