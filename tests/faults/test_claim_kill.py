"""kill -9 of a worker while it claims records of a queue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from storekit.bridge import settle
from storekit.testing.faults import Point, observe
from tests.faults.servers import Servers
from tests.faults.units import claim_jobs
from tests.faults.writers import Writers
from tests.support.adapters import APIS, opened
from tests.support.entities import Job

_KILLED = -9
_COMMITTED = Point("after", "postgres.claim", 1)


@pytest.mark.parametrize("api", APIS)
async def test_kill_a_claim_at_any_step(servers: Servers, writers: Writers, api: str) -> None:
    """After a kill before the commit the records can be claimed at once, after a later one when their lease
    has ended; no claim gets a record that another holds."""
    async with opened(api, servers.settings) as survivor:
        with observe() as steps:
            await claim_jobs(survivor, uuid4())
        assert _COMMITTED in steps.seen
        for point in steps.seen:
            tenant = uuid4()
            jobs: Any = survivor.scope(tenant=tenant, actor="agent:survivor").repository(Job)
            saved = await settle(jobs.save_many([Job(name=str(n), priority=n) for n in range(3)]))
            with servers.clock.restored():
                assert writers.kill_at(point, api, "claim", tenant, "") == _KILLED, point
                lost = 2 if point == _COMMITTED else 0
                assert await settle(jobs.count({"status": "running"})) == lost, point
                free = await claim_jobs(survivor, tenant)
                assert [job.name for job in free] == (["2"] if lost else ["0", "1"]), point
                assert len(await claim_jobs(survivor, tenant)) == (0 if lost else 1), point
                assert await claim_jobs(survivor, tenant) == [], point
                servers.clock.move(timedelta(minutes=6))
                again = await claim_jobs(survivor, tenant) + await claim_jobs(survivor, tenant)
                assert sorted(job.name for job in again) == ["0", "1", "2"], point
                for job in saved:
                    events = await settle(jobs.history(job.ref_id))
                    assert len(events) == 3, f"{point}: one event for each claim of the record"
