"""The state that an object keeps of its last save: the saved values, not the current ones."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storekit import Blob, Expired, UsageError, trace
from tests.support.entities import Call, Payload, Report, Run
from tests.support.harness import Harness, steps, trips

pytestmark = pytest.mark.parts


@pytest.mark.parametrize("step", ["postgres.commit", "postgres.stage"])
async def test_an_edit_during_a_save_is_saved_by_the_next(harness: Harness, step: str) -> None:
    """Columns, documents and blobs that change during a save are written by the next save."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="0"), transcript=Blob("zero"))
    saved.name, saved.payload, saved.transcript = "1", Payload(q="1"), Blob("one")

    def edit(name: str, phase: trace.Phase) -> None:
        if (name, phase) == (step, "started") and saved.name == "1":
            saved.name, saved.transcript = "2", Blob("two")
            assert isinstance(saved.payload, Payload)
            saved.payload.q = "2"

    with trace.listen(edit):
        await calls.save(saved)
    await calls.save(saved)
    found = await calls.get(saved.ref_id, load=["payload"])
    assert (found.name, found.payload, found.version) == ("2", Payload(q="2"), 3)
    assert await calls.read(saved.ref_id, "transcript") == b"two"


async def test_a_saved_blob_keeps_no_content(harness: Harness) -> None:
    """After a save the field has size, hash and media type, and the content is not kept in memory."""
    content = Blob("# hi")
    saved = await harness.call(transcript=content)
    assert saved.transcript is not content
    assert saved.transcript
    assert (saved.transcript.size, saved.transcript.media_type) == (4, "text/markdown")
    assert content.media_type is None
    with steps() as seen:
        await harness.repository(Call).save(saved)
    assert not seen


async def test_a_document_set_again_after_its_expiry_is_saved(harness: Harness) -> None:
    """An equal document that is set after the former has expired is saved with a new expiry."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="x"))
    harness.move_clock(timedelta(days=90, seconds=1))
    found = await calls.get(saved.ref_id, load=["payload"])
    assert isinstance(found.payload, Expired)
    harness.move_clock(timedelta())
    found.payload = Payload(q="x")
    await calls.save(found)
    assert (await calls.get(saved.ref_id, load=["payload"])).payload == Payload(q="x")


async def test_equal_content_is_not_read_again(harness: Harness) -> None:
    """After content was found equal to the stored content, later saves do not read it again."""
    saved = await harness.call(transcript=Blob("# hi"))
    again = iter([b"# hi"])
    saved.transcript = Blob(again, media_type="text/markdown")
    await harness.repository(Call).save(saved)
    saved.name = "renamed"
    with steps() as seen:
        await harness.repository(Call).save(saved)
    assert seen == {"postgres.commit": 1}


async def test_an_empty_update_only_reads(harness: Harness) -> None:
    """`update(ref_id, {})` changes no version and writes no event."""
    run = await harness.run()
    with steps() as seen:
        found = await harness.repository(Run).update(run.ref_id, {})
    assert found.version == 1
    assert trips(seen) == {"postgres.select": 1}


async def test_a_document_updated_alone_still_links_its_blob(harness: Harness) -> None:
    """A document that update writes keeps the links to its unchanged blobs."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# hi"))
    with steps() as seen:
        await calls.update(saved.ref_id, {"payload": Payload(q="y")})
    assert trips(seen)["postgres.select"] == 1
    assert "s3.put" not in seen
    assert (await calls.get(saved.ref_id, load=["payload"])).payload == Payload(q="y")


async def test_an_unresolved_save_belongs_to_its_tenant(harness: Harness) -> None:
    """An object whose save has an unknown outcome cannot be saved for another tenant."""

    def fail(name: str, phase: trace.Phase) -> None:
        if (name, phase) == ("postgres.commit", "finished"):
            raise KeyboardInterrupt

    run = Run(name="x")
    runs = harness.repository(Run)
    with trace.listen(fail), pytest.raises(KeyboardInterrupt):
        await runs.save(run)
    other = Harness(harness.store, harness.browse, harness.move_clock)
    with pytest.raises(UsageError, match="save it in the scope of that tenant first"):
        await other.repository(Run).save(run)
    await runs.save(run)
    assert run.version == 1


async def test_a_repeated_mixed_batch_is_the_same_request(harness: Harness) -> None:
    """A batch that updates one record and inserts another can be repeated with its key."""
    reports = harness.repository(Report)
    first = await reports.save(Report(title="old", pdf=Blob(b"pdf")))

    async def attempt() -> list[Report]:
        changed = await reports.get(first.ref_id)
        changed.title, changed.pdf = "new", None
        return list(await reports.save_many([changed, Report(title="made")], idempotency_key="mixed"))

    once, twice = await attempt(), await attempt()
    assert [report.ref_id for report in once] == [report.ref_id for report in twice]
    assert [report.title for report in twice] == ["new", "made"]


async def test_a_repeated_batch_assigns_each_object_its_own_record(harness: Harness) -> None:
    """A repeated batch matches objects and records, whichever of them were changed before."""
    reports = harness.repository(Report)
    made = [await reports.save(Report(title=str(i))) for i in range(3)]

    async def attempt() -> list[Report]:
        loaded = [await reports.get(report.ref_id) for report in made]
        for report in loaded:
            report.title, report.body = "same", {"a": 1}
        return list(await reports.save_many(loaded, idempotency_key="same"))

    await attempt()
    await reports.update(made[1].ref_id, {"title": "other"})
    replayed = await attempt()
    assert [report.ref_id for report in replayed] == [report.ref_id for report in made]
