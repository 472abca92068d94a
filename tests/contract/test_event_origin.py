"""Who changed a record, for whom, in which request and why: the history keeps it with each change."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from storekit import UsageError, ValidationError
from tests.support.adapters import awaitable
from tests.support.entities import Call, Job, JobStatus, Lead, Order, Run, Stage, Verdict
from tests.support.harness import Harness, steps

CONTEXT = {"request_id": "r-17", "address": "10.0.0.1", "retries": 2, "tags": ["a", None]}


def repository(harness: Harness, entity: type[Any], **scope: Any) -> Any:
    """Return a repository of a scope with these arguments."""
    return awaitable(harness.store.scope(tenant=harness.tenant, actor="agent:a", **scope).repository(entity))


async def reasons(harness: Harness, ref_id: str, entity: type[Any] = Lead) -> list[str | None]:
    """Return the reasons of the events of a record, oldest first."""
    return [event.reason for event in await harness.repository(entity).history(ref_id)]


async def test_a_scope_names_for_whom_and_in_which_request(harness: Harness) -> None:
    """Each change of a scope has its on_behalf_of and context; a scope without them records none."""
    runs = repository(harness, Run, on_behalf_of="user:jane", context=CONTEXT)
    saved = await runs.save(Run(name="a"))
    await runs.update(saved.ref_id, {"score": 1})
    await harness.repository(Run).update(saved.ref_id, {"score": 2})
    await runs.delete(saved.ref_id)
    events = await runs.history(saved.ref_id)
    assert [(event.by, event.on_behalf_of, event.context) for event in events] == [
        ("agent:a", "user:jane", CONTEXT),
        ("agent:a", "user:jane", CONTEXT),
        ("user:tester", None, None),
        ("agent:a", "user:jane", CONTEXT),
    ]


async def test_transitions_and_claims_have_the_origin_of_their_scope(harness: Harness) -> None:
    """transition() and claim() record on_behalf_of and context too."""
    scope: dict[str, Any] = {"on_behalf_of": "user:jane", "context": CONTEXT}
    order = await harness.repository(Order).save(Order(number="A-1"))
    await repository(harness, Order, **scope).transition(order.ref_id, "confirmed", reason="paid")
    job = await harness.repository(Job).save(Job(name="a"))
    await repository(harness, Job, **scope).claim(
        {"status": JobStatus.QUEUED}, JobStatus.RUNNING, reason="next"
    )
    for entity, record, why in ((Order, order, "paid"), (Job, job, "next")):
        last = (await harness.repository(entity).history(record.ref_id))[-1]
        assert (last.on_behalf_of, last.context, last.reason) == ("user:jane", CONTEXT, why)


async def test_a_unit_has_the_origin_of_its_scope(harness: Harness) -> None:
    """All changes of a unit of work have the scope's on_behalf_of and context."""
    scope = harness.store.scope(
        tenant=harness.tenant, actor="agent:a", on_behalf_of="user:jane", context=CONTEXT
    )
    async with awaitable(scope.transaction(reason="import")) as tx:
        run, lead = tx.save(Run(name="a")), tx.save(Lead(number="1"), reason="by hand")
    for entity, record, why in ((Run, run, "import"), (Lead, lead, "by hand")):
        (event,) = await harness.repository(entity).history(record.ref_id)
        assert (event.on_behalf_of, event.context, event.reason) == ("user:jane", CONTEXT, why)


@pytest.mark.refusals
@pytest.mark.parametrize(
    ("scope", "error"),
    [
        ({"on_behalf_of": ""}, UsageError),
        ({"on_behalf_of": 7}, UsageError),
        ({"on_behalf_of": "x" * 256}, ValidationError),
        ({"on_behalf_of": "a\0"}, ValidationError),
        ({"context": {"a": "x" * 4090}}, ValidationError),
        ({"context": {"a": [1e-300] * 20}}, ValidationError),
        ({"context": ["a"]}, ValidationError),
        ({"context": {"a": object()}}, ValidationError),
        ({"context": {1: "a"}}, ValidationError),
        ({"context": {"a": float("nan")}}, ValidationError),
        ({"context": {"a": "\ud800"}}, ValidationError),
        ({"context": {"a\0": 1}}, ValidationError),
    ],
)
async def test_an_invalid_origin_is_refused(
    harness: Harness, scope: dict[str, Any], error: type[Exception]
) -> None:
    """A scope refuses names and contexts that cannot be stored, and a context of more than 4,096 bytes."""
    with steps() as seen, pytest.raises(error):
        repository(harness, Run, **scope)
    assert not seen


@pytest.mark.parametrize("context", [{}, {"a": "x" * 4087}, {"a": "ä" * 2043}, {"a": 1e-9, "b": 1.5}])
async def test_a_context_of_4096_bytes_is_stored(harness: Harness, context: dict[str, Any]) -> None:
    """A context of at most 4,096 bytes is returned as it was given."""
    saved = await repository(harness, Run, context=context).save(Run(name="a"))
    (event,) = await harness.repository(Run).history(saved.ref_id)
    assert event.context == context


async def test_every_change_takes_a_reason(harness: Harness) -> None:
    """save, update, delete, restore, upsert, insert_ignore and the calls for many store their reason."""
    leads = harness.repository(Lead)
    lead = await leads.save(Lead(number="1"), reason="one")
    lead.score = 1
    await leads.save(lead, reason="two")
    await leads.update(lead.ref_id, {"score": 2}, reason="three")
    await leads.update_many({lead.ref_id: {"score": 3}}, reason="four")
    await leads.upsert([Lead(number="1", score=4)], reason="five")
    await leads.delete(lead.ref_id, reason="six")
    assert await reasons(harness, lead.ref_id) == ["one", "two", "three", "four", "five", "six"]
    (other,) = await leads.insert_ignore([Lead(number="2")], reason="seven")
    many = await leads.save_many([Lead(number="3")], reason="eight")
    assert [await reasons(harness, each.ref_id) for each in (other, *many)] == [["seven"], ["eight"]]
    call = await harness.call()
    calls = harness.repository(Call)
    await calls.delete(call.ref_id, reason="nine")
    await calls.restore(call.ref_id, reason="ten")
    await calls.delete_many([call.ref_id], reason="eleven")
    assert await reasons(harness, call.ref_id, Call) == [None, "nine", "ten", "eleven"]


async def test_a_unit_takes_a_reason_for_each_change(harness: Harness) -> None:
    """In a unit each change has its own reason, or that of the unit."""
    call, lead = await harness.call(), await harness.repository(Lead).save(Lead(number="1"))
    gone = await harness.call()
    await harness.work(
        lambda tx: tx.update(Call, call.ref_id, {"name": "b"}, reason="one"),
        lambda tx: tx.upsert([Lead(number="1", score=5)], reason="two"),
        lambda tx: tx.insert_ignore([Lead(number="2")]),
        lambda tx: tx.delete(Call, gone.ref_id, reason="three"),
        reason="unit",
    )
    await harness.work(lambda tx: tx.restore(Call, gone.ref_id, reason="four"))
    second = (await harness.repository(Lead).find({"number": "2"}))[0]
    assert await reasons(harness, call.ref_id, Call) == [None, "one"]
    assert await reasons(harness, lead.ref_id) == [None, "two"]
    assert await reasons(harness, second.ref_id) == ["unit"]
    assert await reasons(harness, gone.ref_id, Call) == [None, "three", "four"]


SILENT: list[Callable[[Any, str], Any]] = [
    lambda verdicts, _: verdicts.save(Verdict(matter="b")),
    lambda verdicts, _: verdicts.save(Verdict(matter="b"), reason=""),
    lambda verdicts, _: verdicts.save(Verdict(matter="b"), reason="  "),
    lambda verdicts, _: verdicts.save_many([Verdict(matter="b")]),
    lambda verdicts, _: verdicts.upsert([Verdict(matter="b")]),
    lambda verdicts, _: verdicts.insert_ignore([Verdict(matter="b")]),
    lambda verdicts, ref_id: verdicts.update(ref_id, {"matter": "b"}),
    lambda verdicts, ref_id: verdicts.update_many({ref_id: {"matter": "b"}}),
    lambda verdicts, ref_id: verdicts.transition(ref_id, Stage.WON),
    lambda verdicts, ref_id: verdicts.delete(ref_id),
    lambda verdicts, ref_id: verdicts.delete_many([ref_id]),
    lambda verdicts, ref_id: verdicts.restore(ref_id),
]


async def test_a_class_can_require_a_reason(harness: Harness) -> None:
    """With reason_required, a change without a reason is refused before any trip, in a unit too."""
    verdicts = harness.repository(Verdict)
    verdict = await verdicts.save(Verdict(matter="a"), reason="court")
    for change in SILENT:
        with steps() as seen, pytest.raises(UsageError, match="each change of Verdict needs a reason"):
            await change(verdicts, verdict.ref_id)
        assert not seen
    with pytest.raises(UsageError, match="needs a reason"):
        await harness.work(lambda tx: tx.save(Verdict(matter="b")))
    await harness.work(lambda tx: tx.transition(Verdict, verdict.ref_id, Stage.WON), reason="appeal")
    assert await reasons(harness, verdict.ref_id, Verdict) == ["court", "appeal"]


@pytest.mark.parametrize("stored", [True, False])
async def test_an_update_that_changes_nothing_is_no_event(harness: Harness, stored: bool) -> None:
    """An update to the values that a record has makes no version and no event, with and without parts."""
    entity, values = (Run, {"score": 0}) if stored else (Call, {"name": "search"})
    saved = await harness.run() if stored else await harness.call()
    records = harness.repository(entity)
    same = await records.update(saved.ref_id, values)
    assert (same.version, same.updated_on, same.updated_by) == (1, None, None)
    (again,) = await records.update_many({saved.ref_id: values})
    await harness.work(lambda tx: tx.update(entity, saved.ref_id, values))
    assert (again.version, len(await records.history(saved.ref_id))) == (1, 1)
    assert (await records.update(saved.ref_id, values, expected_version=1)).version == 1


async def test_another_form_of_a_number_is_a_change(harness: Harness) -> None:
    """1.0 and 1.00 are equal, but a reader sees the difference: the update is a version with an event."""
    records = harness.repository(Lead)
    saved = await records.save(Lead(number="1", worth=Decimal("1.0")))
    assert (await records.update(saved.ref_id, {"worth": Decimal("1.0")})).version == 1
    assert (await records.update(saved.ref_id, {"worth": Decimal("1.00")})).version == 2
    last = (await records.history(saved.ref_id))[-1]
    assert (str(last.before["worth"]), str(last.after["worth"])) == ("1.0", "1.00")


async def test_a_declared_move_to_the_same_state_is_an_event(harness: Harness) -> None:
    """A transition that the state machine declares from a state to itself is made each time."""
    verdicts = harness.repository(Verdict)
    verdict = await verdicts.save(Verdict(matter="a", stage=Stage.NEW), reason="court")
    await verdicts.transition(verdict.ref_id, Stage.WON, reason="one")
    again = await verdicts.transition(verdict.ref_id, Stage.WON, reason="two")
    assert again.version == 3
    assert await reasons(harness, verdict.ref_id, Verdict) == ["court", "one", "two"]
