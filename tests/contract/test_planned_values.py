"""An update writes the values that it was given when it was called."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import pytest

from storekit import Blob, ValidationError
from tests.support.draft_models import Draft, Stamp, Stamps
from tests.support.entities import Report, Run
from tests.support.harness import Harness


async def test_a_planned_update_keeps_its_values(harness: Harness) -> None:
    """A dict that is filled again, or a value that is edited, does not change the updates planned with it."""
    drafts = harness.repository(Draft)
    first, second = await drafts.save_many([Draft(name="a"), Draft(name="b")])
    values: dict[str, Any] = {"notes": {"a": [1]}, "body": {"a": [1]}}
    values["stamps"] = Stamps(queue=deque([Stamp(by="a")]))

    def plan(tx: Any) -> None:
        tx.update(Draft, first.ref_id, values)
        values["notes"]["a"].append(2)
        values["body"]["a"].append(2)
        values["stamps"].queue[0].by = "b"
        values["pages"] = 9
        tx.update(Draft, second.ref_id, values)
        values.clear()

    await harness.work(plan)
    found = [await drafts.get(each.ref_id, load=["body"]) for each in (first, second)]
    assert [each.notes for each in found] == [each.body for each in found] == [{"a": [1]}, {"a": [1, 2]}]
    assert [each.stamps.queue[0].by for each in found] == ["a", "b"]
    assert [each.pages for each in found] == [1, 9]


async def test_planned_updates_accept_what_cannot_be_copied(harness: Harness) -> None:
    """A generator is read once when the update is planned; content of a Blob is not copied."""
    drafts, reports = harness.repository(Draft), harness.repository(Report)
    draft = await drafts.save(Draft(name="a"))
    run = await harness.run()
    report = await reports.save(Report(run_id=run.id, title="t"))

    def plan(tx: Any) -> None:
        tx.update(Draft, draft.ref_id, {"tags": (text for text in "ab")})
        tx.update(Report, report.ref_id, {"pdf": Blob(chunk for chunk in [b"x"])})

    await harness.work(plan)
    assert (await drafts.get(draft.ref_id)).tags == ["a", "b"]
    assert await reports.read(report.ref_id, "pdf") == b"x"
    with pytest.raises(ValidationError):
        await harness.repository(Run).update(run.ref_id, {"name": threading.Lock()})
