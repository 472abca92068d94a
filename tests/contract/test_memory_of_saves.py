"""What an object remembers of a save: what was sent, not what it holds by now."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storekit import Blob, Expired, UsageError, trace
from tests.support.entities import Call, Payload, Report, Run
from tests.support.harness import Harness, steps, trips

pytestmark = pytest.mark.parts


@pytest.mark.parametrize("step", ["postgres.commit", "postgres.stage"])
async def test_an_edit_made_while_a_save_is_under_way_is_saved_by_the_next(
    harness: Harness, step: str
) -> None:
    """Columns, documents and blobs changed in mid-save are changes still, and the next save writes them."""
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
    """After a save the field tells size, hash and type, and the content is no longer held in memory."""
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
    """The same document, set once more when the former has expired, lives anew."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="x"))
    harness.move_clock(timedelta(days=90, seconds=1))
    found = await calls.get(saved.ref_id, load=["payload"])
    assert isinstance(found.payload, Expired)
    harness.move_clock(timedelta())
    found.payload = Payload(q="x")
    await calls.save(found)
    assert (await calls.get(saved.ref_id, load=["payload"])).payload == Payload(q="x")


async def test_new_content_equal_to_what_is_stored_needs_no_file_any_more(harness: Harness) -> None:
    """Once content was found equal to what is stored, saving another change does not read it again."""
    saved = await harness.call(transcript=Blob("# hi"))
    again = iter([b"# hi"])
    saved.transcript = Blob(again, media_type="text/markdown")
    await harness.repository(Call).save(saved)
    saved.name = "renamed"
    with steps() as seen:
        await harness.repository(Call).save(saved)
    assert seen == {"postgres.commit": 1}


async def test_an_update_of_nothing_is_a_read(harness: Harness) -> None:
    """`update(ref_id, {})` changes no version and writes no event."""
    run = await harness.run()
    with steps() as seen:
        found = await harness.repository(Run).update(run.ref_id, {})
    assert found.version == 1
    assert trips(seen) == {"postgres.select": 1}


async def test_a_document_updated_alone_still_links_its_blob(harness: Harness) -> None:
    """A document written by `update` tells of the blobs it links, though they did not change."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# hi"))
    with steps() as seen:
        await calls.update(saved.ref_id, {"payload": Payload(q="y")})
    assert trips(seen)["postgres.select"] == 1
    assert "s3.put" not in seen
    assert (await calls.get(saved.ref_id, load=["payload"])).payload == Payload(q="y")


async def test_a_save_in_doubt_is_settled_in_its_own_tenant(harness: Harness) -> None:
    """An object whose save for one tenant has no known outcome is not saved for another."""

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
    """A batch that changes a record and makes another can be repeated, though the change is there already."""
    reports = harness.repository(Report)
    first = await reports.save(Report(title="old", pdf=Blob(b"pdf")))

    async def attempt() -> list[Report]:
        changed = await reports.get(first.ref_id)
        changed.title, changed.pdf = "new", None
        return list(await reports.save_many([changed, Report(title="made")], idempotency_key="mixed"))

    once, twice = await attempt(), await attempt()
    assert [report.ref_id for report in once] == [report.ref_id for report in twice]
    assert [report.title for report in twice] == ["new", "made"]


async def test_a_replay_gives_each_object_its_own_record(harness: Harness) -> None:
    """Whichever rows of a batch were changed before, a replay answers record for record."""
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
