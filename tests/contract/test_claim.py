"""Claims: take records of a queue, each for one caller only."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from storekit import Conflict, UsageError, ValidationError, lt
from tests.support.entities import Job, JobStatus, Order, Run
from tests.support.harness import Harness, steps, trips

_LEASE = {"leased_until": timedelta(minutes=5)}
_QUEUED = {"status": JobStatus.QUEUED}


async def _queue(harness: Harness, *priorities: int) -> Any:
    jobs = harness.repository(Job)
    await jobs.save_many([Job(name=f"job {n}", priority=n) for n in priorities])
    return jobs


async def test_a_claim_takes_records_in_the_order_of_the_index_in_one_trip(harness: Harness) -> None:
    """The records have their new state, and each is returned once; then none is left."""
    jobs = await _queue(harness, 3, 1, 2)
    taken = []
    for expected in (2, 1, 0):
        with steps() as seen:
            found = await jobs.claim(_QUEUED, "running", 2, reason="worker 7")
        assert trips(seen) == {"postgres.claim": 1}
        assert len(found) == expected
        taken += found
    assert [(job.priority, job.status, job.version) for job in taken] == [
        (n, JobStatus.RUNNING, 2) for n in (1, 2, 3)
    ]
    taken[0].status = JobStatus.DONE
    assert (await jobs.save(taken[0])).version == 3
    events = await jobs.history(taken[1].ref_id)
    assert [(event.type, event.reason, event.by) for event in events] == [
        ("jobs.created", None, "user:tester"),
        ("jobs.transitioned", "worker 7", "user:tester"),
    ]
    assert events[1].after == {"status": "running"}


async def test_a_claim_takes_what_its_where_and_order_say(harness: Harness) -> None:
    """Other filters are compared too, and `order_by` may read the index backward."""
    jobs = await _queue(harness, 1, 2, 3, 4)
    found = await jobs.claim({**_QUEUED, "priority": lt(4)}, "running", 2, order_by="-priority")
    assert [job.priority for job in found] == [3, 2]
    other = Harness(harness.store, harness.browse, harness.move_clock).repository(Job)
    assert await other.claim(_QUEUED, "running", 10) == []


async def test_concurrent_claims_never_share_a_record(harness: Harness) -> None:
    """Each record is taken by exactly one of many calls, and no call is refused."""
    jobs = await _queue(harness, *range(30))
    found = await asyncio.gather(*(jobs.claim(_QUEUED, "running", 4) for _ in range(10)))
    taken = [job.priority for each in found for job in each]
    while more := await jobs.claim(_QUEUED, "running", 4):  # a call may have skipped records that were locked
        taken += [job.priority for job in more]
    assert sorted(taken) == [*range(30)]


async def test_a_record_whose_lease_has_ended_is_claimed_again(harness: Harness) -> None:
    """It comes before the queued records, and the former worker can no longer write it."""
    jobs = await _queue(harness, 1, 2)
    (first,) = await jobs.claim(_QUEUED, "running", lease=_LEASE)
    assert isinstance(first.leased_until, datetime)
    assert first.leased_until - first.updated_on == timedelta(minutes=5)
    (second,) = await jobs.claim(_QUEUED, "running", 5, lease=_LEASE)
    assert (first.priority, second.priority) == (1, 2)
    await jobs.transition(second.ref_id, "done")
    assert await jobs.claim(_QUEUED, "running", lease=_LEASE) == []
    harness.move_clock(timedelta(minutes=6))
    await jobs.save(Job(name="late", priority=0))
    again = await jobs.claim(_QUEUED, "running", 5, lease=_LEASE)
    assert [(job.priority, job.version) for job in again] == [(1, 3), (0, 2)]
    first.status = JobStatus.DONE
    with pytest.raises(Conflict):
        await jobs.save(first)
    with pytest.raises(Conflict):
        await jobs.transition(first.ref_id, "done", expected_version=first.version)


@pytest.mark.refusals
@pytest.mark.parametrize(
    ("entity", "where", "to", "more", "error"),
    [
        (Order, {"status": "pending"}, "confirmed", {}, UsageError),  # no index on the state
        (Job, _QUEUED, "running", {"order_by": "name"}, UsageError),
        (Job, _QUEUED, "running", {"order_by": "ref_id"}, UsageError),
        (Job, {}, "running", {}, UsageError),
        (Job, {"priority": 1}, "running", {}, UsageError),
        (Job, {"status": "done"}, "running", {}, UsageError),
        (Job, _QUEUED, "done", {}, UsageError),
        (Run, {"name": "x"}, "done", {}, UsageError),
        (Job, _QUEUED, "lost", {}, ValidationError),
        (Job, {"status": "queued", "nothing": 1}, "running", {}, ValidationError),
        (Job, _QUEUED, "running", {"limit": 0}, UsageError),
        (Job, _QUEUED, "running", {"reason": 7}, ValidationError),
        (Job, _QUEUED, "running", {"lease": timedelta(1)}, UsageError),
        (Job, _QUEUED, "running", {"lease": {"name": timedelta(1)}}, ValidationError),
        (Job, _QUEUED, "running", {"lease": {"leased_until": timedelta(0)}}, ValidationError),
        (Job, _QUEUED, "running", {"lease": {"leased_until": 60}}, ValidationError),
    ],
)
async def test_a_claim_that_cannot_be_made_is_refused(
    harness: Harness,
    entity: Any,
    where: dict[str, Any],
    to: str,
    more: dict[str, Any],
    error: type[Exception],
) -> None:
    """Without a fitting index, from a state that cannot be left, or with a bad argument nothing is sent."""
    with steps() as seen, pytest.raises(error):
        await harness.repository(entity).claim(where, to, **more)
    assert trips(seen) == {}
