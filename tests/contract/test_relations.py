"""References between records: followed to a blob, followed by a delete, and never across tenants."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest

from storekit import Blob, ConstraintViolation, Entity, NotFound, UsageError, references
from storekit.ids import new_ref_id
from tests.support.entities import Call, Clip, Customer, Folder, Remark, Report, Run
from tests.support.harness import Harness, steps, trips


async def _remark(harness: Harness, **values: Any) -> tuple[Report, Remark]:
    report: Report = await harness.repository(Report).save(Report(title="t", **values))
    remark: Remark = await harness.repository(Remark).save(Remark(report_id=report.id, text="x"))
    return report, remark


async def test_a_reference_is_followed_to_its_blob_in_the_same_trip(harness: Harness) -> None:
    """url, urls, read and open take "report.pdf" and return the blob of the report, in one Postgres trip."""
    _, remark = await _remark(harness, pdf=Blob(b"%PDF", filename="plan.pdf"))
    remarks = harness.repository(Remark)
    with steps() as seen:
        url = await remarks.url(remark.ref_id, "report.pdf")
    assert trips(seen) == {"postgres.select": 1}
    response = await harness.fetch(url)
    assert (response.body, response.media_type) == (b"%PDF", "application/pdf")
    assert response.disposition == 'attachment; filename="plan.pdf"'
    with steps() as seen:
        assert await remarks.read(remark.ref_id, "report.pdf") == b"%PDF"
    assert trips(seen) == {"postgres.select": 1, "s3.get": 1}
    async with remarks.open(remark.ref_id, "report.pdf") as stream:
        assert await stream.read() == b"%PDF"


async def test_urls_follow_a_reference_of_each_record(harness: Harness) -> None:
    """urls follows references in one trip, and omits records whose target has no content."""
    report, first = await _remark(harness, pdf=Blob(b"one"))
    remarks = harness.repository(Remark)
    second = await remarks.save(Remark(report_id=report.id, text="y"))
    _, third = await _remark(harness, pdf=Blob(b"two"))
    _, empty = await _remark(harness)
    ref_ids = [first.ref_id, empty.ref_id, second.ref_id, third.ref_id, new_ref_id()]
    with steps() as seen:
        found = await remarks.urls(ref_ids, "report.pdf")
    assert trips(seen) == {"postgres.select": 1}
    assert [*found] == [first.ref_id, second.ref_id, third.ref_id]
    assert [(await harness.fetch(url)).body for url in found.values()] == [b"one", b"one", b"two"]


async def test_a_self_reference_is_followed(harness: Harness) -> None:
    """A reference to "self" is followed to the blob of the other record."""
    folders = harness.repository(Folder)
    parent = await folders.save(Folder(cover=Blob(b"parent")))
    child = await folders.save(Folder(parent_id=parent.id, cover=Blob(b"child")))
    assert await folders.read(child.ref_id, "parent.cover") == b"parent"
    assert await folders.read(child.ref_id, "cover") == b"child"


async def _is_empty(harness: Harness, folder: Folder) -> None:
    folders = harness.repository(Folder)
    for call in (folders.url, folders.read):
        with pytest.raises(NotFound) as caught:
            await call(folder.ref_id, "call.transcript")
        assert (caught.value.ref_id, caught.value.field) == (folder.ref_id, "call.transcript")
    assert await folders.urls([folder.ref_id], "call.transcript") == {}


async def test_a_path_without_a_blob_is_not_found(harness: Harness) -> None:
    """An empty reference, an empty field and a deleted target raise NotFound with the whole path."""
    folders, calls = harness.repository(Folder), harness.repository(Call)
    await _is_empty(harness, await folders.save(Folder()))
    call = await harness.call()
    folder = await folders.save(Folder(call_id=call.id))
    await _is_empty(harness, folder)
    await calls.update(call.ref_id, {"transcript": Blob("# hi")})
    assert await folders.read(folder.ref_id, "call.transcript") == b"# hi"
    await calls.delete(call.ref_id)
    await _is_empty(harness, folder)
    await calls.restore(call.ref_id)
    assert await folders.read(folder.ref_id, "call.transcript") == b"# hi"


async def test_a_path_of_a_missing_record_is_not_found(harness: Harness) -> None:
    """An unknown record, a deleted one and one of another tenant raise NotFound without a field."""
    report, remark = await _remark(harness, pdf=Blob(b"x"))
    clips = harness.repository(Clip)
    hidden = await clips.save(Clip(report_id=report.id))
    await clips.delete(hidden.ref_id)
    cases = [
        (harness.repository(Remark), new_ref_id()),
        (clips, hidden.ref_id),
        (harness.repository(Remark, tenant=uuid4()), remark.ref_id),
    ]
    for repository, ref_id in cases:
        for call in (repository.url, repository.read):
            with pytest.raises(NotFound) as caught:
                await call(ref_id, "report.pdf")
            assert (caught.value.ref_id, caught.value.field) == (ref_id, None)
        assert await repository.urls([ref_id], "report.pdf") == {}


class ByTableName(Entity, table="loose"):
    """References its report by the name of a table."""

    report_id: Annotated[UUID, references("reports")]


REFUSED: dict[str, tuple[type[Entity], str, str]] = {
    "an unknown reference": (Remark, "parent.pdf", "has no reference 'parent': .*; it has report"),
    "not a reference": (Report, "title.pdf", "has no reference 'title': .*; it has run"),
    "the column of a reference": (Remark, "report_id.pdf", "has no reference 'report_id'"),
    "empty before the dot": (Remark, ".pdf", "has no reference ''"),
    "empty after the dot": (Remark, "report.", "reports. is not a blob; it has pdf"),
    "a document": (Remark, "report.body", r"reports.body is not a blob \(it is a document"),
    "a column of the target": (Remark, "report.title", "reports.title is not a blob; it has pdf"),
    "two dots": (
        Remark,
        "report.run.pdf",
        "only one reference can be followed; use the repository of reports",
    ),
    "a target declared by name": (ByTableName, "report.pdf", "pass the class to references"),
    "a global target": (Customer, "tariff.terms", "tariffs is global; use the repository of its class"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_an_invalid_path_is_refused_before_any_trip(harness: Harness, name: str) -> None:
    """A path that is not declared raises UsageError with the remedy, in every method."""
    entity, field, message = REFUSED[name]
    repository, ref_id = harness.repository(entity), new_ref_id()
    for call, argument in (
        (repository.url, ref_id),
        (repository.urls, [ref_id]),
        (repository.read, ref_id),
    ):
        with steps() as seen, pytest.raises(UsageError, match=message):
            await call(argument, field)
        assert trips(seen) == {}


async def _types(harness: Harness, record: Entity) -> list[tuple[str, int, str]]:
    events = await harness.repository(type(record)).history(record.ref_id)
    return [(event.type, event.version, event.by) for event in events]


async def test_cascade_deletes_records_with_an_event_each(harness: Harness) -> None:
    """Deleting a target deletes the records that cascade, at every level, with the same actor."""
    report, remark = await _remark(harness, pdf=Blob(b"x"))
    clips, folders = harness.repository(Clip), harness.repository(Folder)
    clip = await clips.save(Clip(report_id=report.id))
    hidden = await clips.save(Clip(report_id=report.id))
    await clips.delete(hidden.ref_id)
    await harness.repository(Report, actor="user:boss").delete(report.ref_id)
    for record in (report, remark, clip):
        with pytest.raises(NotFound):
            await harness.repository(type(record)).get(record.ref_id)
        kind = record.storekit_table.name
        assert await _types(harness, record) == [
            (f"{kind}.created", 1, "user:tester"),
            (f"{kind}.deleted", 2, "user:boss"),
        ]
    assert (await _types(harness, hidden))[-1] == ("clips.deleted", 3, "user:boss")
    with pytest.raises(NotFound):
        await clips.restore(hidden.ref_id)
    top = await folders.save(Folder())
    middle = await folders.save(Folder(parent_id=top.id, cover=Blob(b"x")))
    leaf = await folders.save(Folder(parent_id=middle.id))
    await folders.delete(top.ref_id)
    for folder in (top, middle, leaf):
        assert (await _types(harness, folder))[-1][:2] == ("folders.deleted", 2)


async def test_set_null_is_a_change_of_the_record(harness: Harness) -> None:
    """Emptying a reference raises the version, with the actor of the delete; nothing else changes."""
    run = await harness.run()
    reports = harness.repository(Report)
    report = await reports.save(Report(title="t", run_id=run.id, pdf=Blob(b"x")))
    await harness.repository(Run, actor="user:boss").delete(run.ref_id)
    found = await reports.get(report.ref_id)
    assert (found.run_id, found.version, found.updated_by, found.title) == (None, 2, "user:boss", "t")
    assert await reports.read(report.ref_id, "pdf") == b"x"
    assert (await _types(harness, report))[-1] == ("reports.updated", 2, "user:boss")
    (event,) = [each for each in await reports.history(report.ref_id) if each.version == 2]
    assert event.before == {**event.before, "run_id": str(run.id)}
    assert event.after == {**event.after, "run_id": None}


async def test_restrict_refuses_to_delete_a_referenced_record(harness: Harness) -> None:
    """A record that another one refers to, even a deleted one, cannot be deleted; nothing changes."""
    run = await harness.run()
    calls, runs = harness.repository(Call), harness.repository(Run)
    call = await calls.save(Call(run_id=run.id, name="x"))
    report = await harness.repository(Report).save(Report(title="t", run_id=run.id))
    await calls.delete(call.ref_id)
    with pytest.raises(ConstraintViolation) as caught:
        await runs.delete(run.ref_id)
    assert caught.value.constraint == "calls_run_id_fk_aa57465f"
    assert (caught.value.table, caught.value.fields) == (None, ())
    assert str(caught.value).startswith("other records still refer to this one (calls_run_id_fk_aa57465f)")
    assert (await runs.get(run.ref_id)).version == 1
    assert (await harness.repository(Report).get(report.ref_id)).run_id == run.id


async def test_a_soft_delete_keeps_references(harness: Harness) -> None:
    """A soft delete of the target neither empties nor follows references, and new ones may be made."""
    call = await harness.call()
    folders = harness.repository(Folder)
    folder = await folders.save(Folder(call_id=call.id))
    await harness.repository(Call).delete(call.ref_id)
    found = await folders.get(folder.ref_id)
    assert (found.call_id, found.version) == (call.id, 1)
    assert (await folders.save(Folder(call_id=call.id))).version == 1


async def test_a_reference_to_another_tenant_is_refused(harness: Harness) -> None:
    """save, update and save_many treat the id of another tenant's record as unknown."""
    foreign = await Harness(harness.store, harness.browse, harness.move_clock).call()
    folders = harness.repository(Folder)
    own = await folders.save(Folder())
    for call_id in (foreign.id, uuid4()):
        loaded = await folders.get(own.ref_id)
        loaded.call_id = call_id
        attempts: list[Any] = [
            folders.save(Folder(call_id=call_id)),
            folders.save(Folder(call_id=call_id, cover=Blob(b"x"))),
            folders.save(loaded),
            folders.update(own.ref_id, {"call_id": call_id}),
            folders.save_many([Folder(), Folder(call_id=call_id)]),
        ]
        for attempt in attempts:
            with pytest.raises(ConstraintViolation) as caught:
                await attempt
            assert caught.value.constraint == "folders_call_id_fk_f830462f"
    assert (await folders.get(own.ref_id)).version == 1


async def test_records_of_one_batch_may_refer_to_each_other(harness: Harness) -> None:
    """The records of one batch may refer to each other in any order."""
    folders = harness.repository(Folder)
    top = Folder()
    leaf = Folder(parent_id=top.id)
    await folders.save_many([leaf, top])
    assert (await folders.get(leaf.ref_id)).parent_id == top.id


async def test_a_broken_reference_names_its_field(harness: Harness) -> None:
    """A reference to a record that does not exist is in `.fields`, and the message has no SQL."""
    remarks = harness.repository(Remark)
    report: Report = await harness.repository(Report).save(Report(title="t"))
    dangling = Remark(report_id=uuid4(), text="x")
    for records, index in ([dangling], None), ([Remark(report_id=report.id, text="y"), dangling], 1):
        with pytest.raises(ConstraintViolation) as caught:
            await (remarks.save_many(records) if index else remarks.save(records[0]))
        error = caught.value
        assert (error.table, error.fields, error.index) == ("remarks", ("report_id",), index)
        assert str(error).endswith(
            f"remarks: report_id refers to a record that does not exist in this tenant ({error.constraint})"
        )
