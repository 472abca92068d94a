"""A machine whose clock differs from that of the database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storekit import Blob, ConfigurationError
from tests.support.entities import Job, JobStatus, Report, Run
from tests.support.harness import Harness, steps, trips

_BEHIND = r"clock of this machine is (3 days, 0:00:00|2 days, 23:59:59) behind the clock of Postgres"


@pytest.mark.sql
async def test_a_clock_that_is_days_behind_is_named(harness: Harness) -> None:
    """Each kind of write raises one error with the difference, not a retryable one that never ends."""
    run = await harness.run()
    reports = harness.repository(Report)
    jobs = harness.repository(Job)
    job = await jobs.save(Job(name="x"))
    harness.move_clock(timedelta(days=3))
    writes = (
        lambda: harness.repository(Run).save(Run(name="x")),
        lambda: reports.save(Report(title="x", pdf=Blob(b"x")), idempotency_key="k"),
        lambda: harness.repository(Run).update(run.ref_id, {"name": "y"}),
        lambda: harness.repository(Run).delete(run.ref_id),
        lambda: jobs.transition(job.ref_id, JobStatus.RUNNING),
        lambda: jobs.claim({"status": JobStatus.QUEUED}, JobStatus.RUNNING),
        lambda: harness.work(lambda tx: tx.save(Run(name="x")), lambda tx: tx.connection),
    )
    for write in writes:
        with steps() as seen, pytest.raises(ConfigurationError, match=_BEHIND):
            await write()
        assert sum(trips(seen).values()) <= 2  # the write, and a rollback of the unit
    assert await reports.count() == 0
