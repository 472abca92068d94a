"""References in a circle: between classes, and between records of one class."""

from __future__ import annotations

from uuid import uuid4

import pytest

from storekit import ConstraintViolation
from tests.support.entities import Member, Team
from tests.support.harness import Harness


def circle(name: str) -> tuple[Team, Member]:
    team = Team(name=name)
    lead = Member(name=f"lead of {name}", team_id=team.id)
    team.lead_id = lead.id
    return team, lead


async def test_one_unit_saves_records_that_refer_to_each_other(harness: Harness) -> None:
    """Two records that refer to each other are saved by one unit, in any order."""
    for order in (1, -1):
        records = circle(f"order {order}")
        await harness.work(*((lambda tx, each=each: tx.save(each)) for each in records[::order]))
        team, lead = records
        assert (await harness.repository(Team).get(team.ref_id)).lead_id == lead.id
    (team, lead), (other, _) = circle("a"), circle("b")
    await harness.work(lambda tx: tx.save_many([team, lead]))
    lead.name = "renamed"
    other.lead_id = lead.id
    await harness.work(lambda tx: tx.save_many([other, lead]))
    assert (await harness.repository(Team).get(other.ref_id)).lead_id == lead.id


async def test_a_circle_with_a_missing_record_is_refused(harness: Harness) -> None:
    """A reference to no record is refused as in any other commit, also if tables refer to each other."""
    team, lead = circle("a")
    lead.team_id = uuid4()
    with pytest.raises(ConstraintViolation, match="team_id") as caught:
        await harness.work(lambda tx: tx.save_many([team, lead]))
    assert caught.value.index == 1
    with pytest.raises(ConstraintViolation, match="lead_id"):
        await harness.work(lambda tx: tx.save(team))
    assert await harness.repository(Team).count() == 0


async def test_a_circle_is_deleted_after_one_reference_is_removed(harness: Harness) -> None:
    """A record to which another one refers is not deleted, so a circle is opened first, in the same unit."""
    team, lead = circle("a")
    await harness.work(lambda tx: tx.save_many([team, lead]))
    with pytest.raises(ConstraintViolation):
        await harness.work(lambda tx: tx.delete(Team, team.ref_id), lambda tx: tx.delete(Member, lead.ref_id))
    assert await harness.repository(Team).count() == 1
    await harness.repository(Team).update(team.ref_id, {"lead_id": None})
    await harness.work(lambda tx: tx.delete(Team, team.ref_id), lambda tx: tx.delete(Member, lead.ref_id))
    assert await harness.repository(Team).count() == 0


async def test_a_batch_may_refer_to_itself(harness: Harness) -> None:
    """Records of one batch may refer to each other in a circle, and are deleted together in any order."""
    team, members = await harness.repository(Team).save(Team(name="a")), harness.repository(Member)
    batch = [Member(name=str(n), team_id=team.id) for n in range(3)]
    for n, each in enumerate(batch):
        each.mentor_id = batch[n - 1].id
    await members.save_many(batch)
    with pytest.raises(ConstraintViolation):
        await members.delete(batch[0].ref_id)
    await members.delete_many([each.ref_id for each in batch])
    assert await members.count() == 0
