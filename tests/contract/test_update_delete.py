"""update, delete and restore."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import pytest

from storekit import Blob, Conflict, ConstraintViolation, NotFound, NotLoaded, UsageError
from storekit.ids import new_ref_id
from tests.support.entities import Call, Note, Order, OrderStatus, Payload, Remark, Report, Run, Status
from tests.support.harness import Harness, steps, trips


async def test_update_writes_only_the_given_fields(harness: Harness) -> None:
    """update writes the given fields in one trip and returns the record without loading documents."""
    calls = harness.repository(Call, actor="user:editor")
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# hi"), tags=["kept"])
    with steps() as seen:
        now = await calls.update(saved.ref_id, {"status": "done"})
    assert trips(seen) == {"postgres.commit": 1}
    assert (now.status, now.tags, now.version, now.updated_by) == (Status.DONE, ["kept"], 2, "user:editor")
    with pytest.raises(NotLoaded):
        _ = now.payload
    assert (await calls.get(saved.ref_id, load=["payload"])).payload == Payload(q="x")
    assert await calls.read(saved.ref_id, "transcript") == b"# hi"


async def test_update_replaces_and_removes_parts(harness: Harness) -> None:
    """A Blob, a document or None in an update replaces or empties its field and no other."""
    reports = harness.repository(Report)
    saved = await reports.save(Report(title="t", body={"a": 1}, pdf=Blob(b"one")))
    with steps() as seen:
        await reports.update(saved.ref_id, {"pdf": Blob(b"two")})
    assert trips(seen) == {"postgres.stage": 1, "s3.put": 1, "postgres.commit": 1}
    assert await reports.read(saved.ref_id, "pdf") == b"two"
    await reports.update(saved.ref_id, {"body": None, "title": "u"})
    found = await reports.get(saved.ref_id)
    assert (found.body, found.title, found.version) == (None, "u", 3)
    await reports.update(saved.ref_id, {"body": {"b": [1, {"c": None}]}})
    assert (await reports.get(saved.ref_id, load=["body"])).body == {"b": [1, {"c": None}]}


async def test_update_compares_the_version(harness: Harness) -> None:
    """update with an outdated expected_version raises Conflict and changes nothing."""
    runs = harness.repository(Run)
    run = await runs.save(Run(name="x"))
    assert (await runs.update(run.ref_id, {"score": 1}, expected_version=1)).version == 2
    with pytest.raises(Conflict) as caught:
        await runs.update(run.ref_id, {"score": 9}, expected_version=1)
    assert (caught.value.expected, caught.value.found) == (1, 2)
    assert (await runs.get(run.ref_id)).score == 1


async def test_an_expected_version_is_compared_without_a_change(harness: Harness) -> None:
    """A save or update that writes nothing still raises Conflict for an outdated expected_version."""
    runs, notes = harness.repository(Run), harness.repository(Note)
    run, note = await runs.save(Run(name="x")), await notes.save(Note(title="t", content=Blob(b"x")))
    calls: dict[str, Callable[[int], Any]] = {
        "save": lambda version: runs.save(run, expected_version=version),
        "save of an append-only record": lambda version: notes.save(note, expected_version=version),
        "update": lambda version: runs.update(run.ref_id, {}, expected_version=version),
    }
    for name, call in calls.items():
        with pytest.raises(Conflict) as caught:
            await call(99)
        assert (caught.value.expected, caught.value.found) == (99, 1), name
        assert (await call(1)).version == 1, name
    assert [event.version for event in await runs.history(run.ref_id)] == [1]
    await runs.delete(run.ref_id)
    with pytest.raises(NotFound):
        await runs.save(run, expected_version=1)


async def test_a_unit_compares_the_version_of_an_unchanged_record(harness: Harness) -> None:
    """A unit with an unchanged record and its expected_version commits only if that version is stored."""
    runs = harness.repository(Run)
    guard = await runs.save(Run(name="guard"))
    await runs.update(guard.ref_id, {"score": 1})
    for expected, committed in ((1, 0), (2, 1)):
        name = f"guarded by {expected}"
        with nullcontext() if committed else pytest.raises(Conflict):
            await harness.work(
                lambda tx: tx.update(Run, guard.ref_id, {}, expected_version=expected),  # noqa: B023
                lambda tx: tx.save(Run(name=name)),  # noqa: B023
            )
        assert await runs.count({"name": name}) == committed
    assert (await runs.get(guard.ref_id)).version == 2


async def test_update_of_an_unknown_record_is_not_found(harness: Harness) -> None:
    """update of an unknown record raises NotFound, before any content is uploaded."""
    unknown = Call(run_id=(await harness.run()).id, name="x").ref_id
    calls = harness.repository(Call)
    with pytest.raises(NotFound):
        await calls.update(unknown, {"name": "y"})
    with steps() as seen, pytest.raises(NotFound):
        await harness.repository(Report).update(unknown, {"pdf": Blob(b"x")})
    assert trips(seen) == {"postgres.stage": 1}


async def test_a_linked_document_follows_its_blob(harness: Harness) -> None:
    """Replacing a blob that a document links rewrites the document with the same body and expiry."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="kept"), transcript=Blob("# one"))
    expiry = _expiry(await calls.explain(saved.ref_id))
    with steps() as seen:
        await calls.update(saved.ref_id, {"transcript": Blob("# two")})
    wave = {"mongo.fetch": 1, "postgres.stage": 1, "s3.put": 1, "mongo.insert": 1, "postgres.commit": 1}
    assert trips(seen) == {"postgres.select": 1, **wave}
    assert (await calls.get(saved.ref_id, load=["payload"])).payload == Payload(q="kept")
    assert _expiry(await calls.explain(saved.ref_id)) == expiry
    loaded = await calls.get(saved.ref_id)
    loaded.transcript = Blob("# three")
    with steps() as seen:
        await calls.save(loaded)
    assert trips(seen) == wave
    assert _expiry(await calls.explain(saved.ref_id)) == expiry


def _expiry(screen: str) -> str:
    (line,) = [line for line in screen.splitlines() if "expires" in line]
    return line.partition("expires")[2]


async def test_a_soft_delete_hides_the_record(harness: Harness) -> None:
    """No read, update or delete finds a deleted SoftDelete record, and its content is kept."""
    calls = harness.repository(Call)
    saved = await harness.call(transcript=Blob("# hi"))
    with steps() as seen:
        await calls.delete(saved.ref_id)
    assert trips(seen) == {"postgres.commit": 1}
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: calls.get(saved.ref_id),
        lambda: calls.read(saved.ref_id, "transcript"),
        lambda: calls.url(saved.ref_id, "transcript"),
        lambda: calls.update(saved.ref_id, {"name": "x"}),
        lambda: calls.delete(saved.ref_id),
    )
    for attempt in attempts:
        with pytest.raises(NotFound):
            await attempt()
    assert await calls.urls([saved.ref_id], "transcript") == {}
    assert ", deleted " in (await calls.explain(saved.ref_id)).splitlines()[0]


async def test_saving_a_deleted_record_is_not_found(harness: Harness) -> None:
    """Saving an object whose record was deleted in the meantime raises NotFound."""
    calls = harness.repository(Call)
    saved = await harness.call()
    await calls.delete(saved.ref_id)
    saved.name = "zombie"
    with pytest.raises(NotFound):
        await calls.save(saved)


async def test_a_hard_delete_removes_the_record(harness: Harness) -> None:
    """A record without SoftDelete is removed by delete, and its events stay."""
    reports = harness.repository(Report)
    saved = await reports.save(Report(title="t", body={"a": 1}, pdf=Blob(b"x")))
    await reports.delete(saved.ref_id, expected_version=1)
    for attempt in (reports.get, reports.explain, reports.delete):
        with pytest.raises(NotFound):
            await attempt(saved.ref_id)


async def test_delete_compares_the_version(harness: Harness) -> None:
    """delete with an outdated expected_version raises Conflict and deletes nothing."""
    runs = harness.repository(Run)
    run = await runs.save(Run(name="x"))
    await runs.update(run.ref_id, {"score": 1})
    with pytest.raises(Conflict):
        await runs.delete(run.ref_id, expected_version=1)
    assert (await runs.get(run.ref_id)).version == 2


async def test_append_only_records_cannot_be_deleted(harness: Harness) -> None:
    """delete of a class without Mutable and SoftDelete raises UsageError, before any trip."""
    notes = harness.repository(Note)
    note = await notes.save(Note(title="t", content=Blob("c")))
    with steps() as seen, pytest.raises(UsageError):
        await notes.delete(note.ref_id)
    assert trips(seen) == {}


async def test_a_referenced_record_is_not_deleted(harness: Harness) -> None:
    """A record with references of on_delete="restrict" to it cannot be deleted."""
    saved = await harness.call()
    runs = harness.repository(Run)
    run = next(iter(await _run_of(harness, saved)))
    with pytest.raises(ConstraintViolation) as caught:
        await runs.delete(run)
    assert caught.value.constraint == "calls_run_id_fk_aa57465f"
    assert (await runs.get(run)).version == 1


async def _run_of(harness: Harness, call: Call) -> list[str]:
    run = Run(name="needed")
    await harness.repository(Run).save(run)
    await harness.repository(Call).update(call.ref_id, {"run_id": run.id})
    return [run.ref_id]


async def test_on_delete_set_null_and_cascade(harness: Harness) -> None:
    """on_delete="set null" empties the reference as an update; "cascade" deletes the record."""
    runs, reports, remarks = (harness.repository(each) for each in (Run, Report, Remark))
    run = await runs.save(Run(name="x"))
    report = await reports.save(Report(title="t", run_id=run.id, pdf=Blob(b"x")))
    remark = await remarks.save(Remark(report_id=report.id, text="good"))
    await runs.delete(run.ref_id)
    found = await reports.get(report.ref_id)
    assert (found.run_id, found.version) == (None, 2)
    await reports.delete(report.ref_id)
    with pytest.raises(NotFound):
        await remarks.get(remark.ref_id)


async def test_a_reference_to_an_unknown_record_is_refused(harness: Harness) -> None:
    """A reference to a row that does not exist, or that another tenant owns, is refused."""
    other = Harness(harness.store, harness.browse, harness.move_clock)
    foreign = await other.run()
    call = Call(run_id=foreign.id, name="x", transcript=Blob("# hi"))
    with pytest.raises(ConstraintViolation):
        await harness.repository(Call).save(call)
    with pytest.raises(NotFound):
        await harness.repository(Call).get(call.ref_id)


async def test_restore_returns_the_record_as_it_was(harness: Harness) -> None:
    """restore() returns the record with its content in one trip, writes an event and checks the version."""
    saved = await harness.call(transcript=Blob("# hi"))
    calls = harness.repository(Call, actor="user:boss")
    await calls.delete(saved.ref_id)
    with pytest.raises(Conflict):
        await calls.restore(saved.ref_id, expected_version=1)
    with steps() as seen:
        back = await calls.restore(saved.ref_id, expected_version=2)
    assert trips(seen) == {"postgres.commit": 1}
    assert (back.version, back.deleted_on, back.name) == (3, None, saved.name)
    assert await calls.read(saved.ref_id, "transcript") == b"# hi"
    assert [event.type for event in await calls.history(saved.ref_id)] == [
        "calls.created",
        "calls.deleted",
        "calls.restored",
    ]


async def test_only_a_deleted_record_can_be_restored(harness: Harness) -> None:
    """restore() refuses a visible record, an unknown one, and a class without SoftDelete."""
    saved = await harness.call()
    for ref_id in (saved.ref_id, new_ref_id()):
        with pytest.raises(NotFound):
            await harness.repository(Call).restore(ref_id)
    with pytest.raises(UsageError, match="derive it from SoftDelete"):
        await harness.repository(Run).restore(saved.ref_id)


async def test_a_duplicate_value_is_reported_with_its_fields(harness: Harness) -> None:
    """ConstraintViolation of a unique key has its fields; another tenant may use the same values."""
    orders = harness.repository(Order)
    first = await orders.save(Order(number="A-1", external_id="x"))
    await harness.repository(Order, tenant=uuid4()).save(Order(number="A-1", external_id="x"))
    await orders.save_many([Order(number="A-1"), Order(number="A-1")])
    with pytest.raises(ConstraintViolation, match="of this tenant has the same external_id") as error:
        await orders.save(Order(number="A-2", external_id="x"))
    assert error.value.fields == ("external_id",)
    with pytest.raises(ConstraintViolation):
        await orders.save_many([Order(number="A-2", external_id="y"), Order(number="A-3", external_id="y")])
    assert (await orders.update(first.ref_id, {"external_id": "x", "number": "A-4"})).version == 2


async def test_a_partial_unique_key_applies_to_its_condition(harness: Harness) -> None:
    """Two pending orders of one batch are refused; after the first has moved on, another is allowed."""
    orders = harness.repository(Order)
    first = await orders.save(Order(number="B-1", batch="x"))
    with pytest.raises(ConstraintViolation) as error:
        await orders.save(Order(number="B-2", batch="x"))
    assert error.value.fields == ("batch",)
    await orders.transition(first.ref_id, OrderStatus.CONFIRMED)
    second = await orders.save(Order(number="B-2", batch="x"))
    await orders.delete(second.ref_id)
    third = await orders.save(Order(number="B-3", batch="x"))
    with pytest.raises(ConstraintViolation):
        await orders.restore(second.ref_id)
    assert third.version == 1
