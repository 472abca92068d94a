"""save, get and load: records are read as they were saved, and only changes are sent."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from storekit import Blob, Conflict, ConstraintViolation, NotFound, NotLoaded, UsageError
from tests.support.entities import Address, Call, Everything, Note, Payload, Report, Run, Status
from tests.support.harness import Harness, steps, trips

pytestmark = pytest.mark.parts


async def test_get_returns_the_saved_record(harness: Harness) -> None:
    """get with every document loaded equals the saved record, in columns, document and blob."""
    calls = harness.repository(Call)
    payload = Payload(q="weather", hits=[3, 1])
    saved = await harness.call(tags=["a", "b"], meta={"x": 1}, payload=payload, transcript=Blob("# hi"))
    found = await calls.get(saved.ref_id, load=["payload"])
    assert (found.name, found.status, found.tags, found.meta) == (
        "search",
        Status.RUNNING,
        ["a", "b"],
        {"x": 1},
    )
    assert found.run_id == saved.run_id
    assert found.payload == payload
    assert found.transcript == saved.transcript
    assert await calls.read(saved.ref_id, "transcript") == b"# hi"


async def test_save_sets_the_fields_of_the_server(harness: Harness) -> None:
    """save sets tenant, version, times and actor on the passed object, and returns it."""
    run = Run(name="x")
    assert await harness.repository(Run, actor="agent:writer").save(run) is run
    assert (run.tenant_id, run.version, run.created_by) == (harness.tenant, 1, "agent:writer")
    assert isinstance(run.created_on, datetime)
    assert run.created_on.tzinfo is not None


async def test_ids_are_generated_with_the_object(harness: Harness) -> None:
    """id is a UUIDv7 and ref_id a ULID before the save, and the save keeps both."""
    run = Run(name="x")
    id_, ref_id = run.id, run.ref_id
    assert id_.version == 7
    assert len(ref_id) == 26
    await harness.repository(Run).save(run)
    assert ((await harness.repository(Run).get(ref_id)).id, run.ref_id) == (id_, ref_id)


async def test_a_document_that_is_not_loaded_raises(harness: Harness) -> None:
    """A document that was not loaded raises NotLoaded, is not dumped, and is shown as <not loaded>."""
    saved = await harness.call(payload=Payload(q="x"))
    found = await harness.repository(Call).get(saved.ref_id)
    with pytest.raises(NotLoaded) as caught:
        _ = found.payload
    assert (caught.value.entity, caught.value.field) == ("Call", "payload")
    assert "payload" not in found.model_dump()
    assert "payload=<not loaded>" in repr(found)


async def test_an_empty_document_needs_no_loading(harness: Harness) -> None:
    """An empty document field is None, loaded or not, and costs no MongoDB trip."""
    saved = await harness.call()
    with steps() as seen:
        found = await harness.repository(Call).get(saved.ref_id, load=["payload"])
    assert found.payload is None
    assert trips(seen) == {"postgres.select": 1}


async def test_a_loaded_blob_has_size_hash_and_media_type(harness: Harness) -> None:
    """A loaded Blob has size, SHA-256 and media type without a further trip."""
    saved = await harness.call(transcript=Blob("# hi"))
    found = await harness.repository(Call).get(saved.ref_id)
    with steps() as seen:
        facts = (found.transcript.size, found.transcript.sha256, found.transcript.media_type)
    digest = "8a5d8b28d66ae90b5876fe0337b963d9f66ab1047f8c866ff4646b73a8a3aa41"
    assert facts == (4, digest, "text/markdown")
    assert not seen


async def test_saving_again_without_a_change_sends_nothing(harness: Harness) -> None:
    """Saving an unchanged record makes no trip and keeps its version."""
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# hi"))
    loaded = await harness.repository(Call).get(saved.ref_id, load=["payload"])
    with steps() as seen:
        await harness.repository(Call).save(saved)
        await harness.repository(Call).save(loaded)
    assert trips(seen) == {}
    assert (saved.version, loaded.version) == (1, 1)


async def test_saving_equal_content_again_sends_nothing(harness: Harness) -> None:
    """A new Blob with the stored bytes is not a change."""
    saved = await harness.call(transcript=Blob("# hi"))
    saved.transcript = Blob(b"# hi")
    with steps() as seen:
        await harness.repository(Call).save(saved)
    assert trips(seen) == {}


async def test_a_changed_column_sends_no_part(harness: Harness) -> None:
    """Changing a column takes one Postgres trip, and the document that is not loaded stays unchanged."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# hi"))
    found = await calls.get(saved.ref_id)
    found.name = "renamed"
    with steps() as seen:
        await calls.save(found)
    assert trips(seen) == {"postgres.commit": 1}
    again = await calls.get(saved.ref_id, load=["payload"])
    assert (again.name, again.version, again.payload) == ("renamed", 2, Payload(q="x"))
    assert await calls.read(saved.ref_id, "transcript") == b"# hi"


async def test_a_changed_document_sends_no_blob(harness: Harness) -> None:
    """Changing only the document sends nothing to S3."""
    reports = harness.repository(Report)
    saved = await reports.save(Report(title="t", body={"a": 1}, pdf=Blob(b"%PDF")))
    saved.body = {"a": 2}
    with steps() as seen:
        await reports.save(saved)
    assert trips(seen) == {"postgres.stage": 1, "mongo.insert": 1, "postgres.commit": 1}
    assert (await reports.get(saved.ref_id, load=["body"])).body == {"a": 2}


async def test_a_changed_blob_sends_no_document(harness: Harness) -> None:
    """Changing only a blob that no document links sends nothing to MongoDB."""
    reports = harness.repository(Report)
    saved = await reports.save(Report(title="t", body={"a": 1}, pdf=Blob(b"one")))
    saved.pdf = Blob(b"two")
    with steps() as seen:
        await reports.save(saved)
    assert trips(seen) == {"postgres.stage": 1, "s3.put": 1, "postgres.commit": 1}
    assert await reports.read(saved.ref_id, "pdf") == b"two"


async def test_a_document_edited_in_place_is_a_change(harness: Harness) -> None:
    """Documents are compared by content, so an edit in place is saved."""
    reports = harness.repository(Report)
    saved = await reports.save(Report(title="t", body={"list": [1]}))
    found = await reports.get(saved.ref_id, load=["body"])
    found.body["list"].append(2)
    await reports.save(found)
    assert (await reports.get(saved.ref_id, load=["body"])).body == {"list": [1, 2]}


async def test_a_column_edited_in_place_is_a_change(harness: Harness) -> None:
    """An edit in place of an array, dict or model in a column is saved, after a save and after a get."""
    records = harness.repository(Everything)
    saved = await records.save(Everything(texts=["a"], tree={"k": {}}, address=Address(street="s")))
    saved.texts.append("b")
    saved.tree["k"]["new"] = True
    saved.address.floors["first"] = 1
    await records.save(saved)
    found = await records.get(saved.ref_id)
    assert (found.texts, found.tree, found.version) == (["a", "b"], {"k": {"new": True}}, 2)
    assert found.address == Address(street="s", floors={"first": 1})
    found.texts.append("c")
    found.tree["k"]["new"] = False
    found.address.floors["first"] = 2
    await records.save(found)
    again = await records.get(saved.ref_id)
    assert (again.texts, again.tree, again.version) == (["a", "b", "c"], {"k": {"new": False}}, 3)
    assert again.address == Address(street="s", floors={"first": 2})


async def test_none_removes_a_part(harness: Harness) -> None:
    """Saving None as a part empties the field: later there is nothing to load or to read."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# hi"))
    saved.payload, saved.transcript = None, None
    with steps() as seen:
        await calls.save(saved)
    assert trips(seen) == {"postgres.commit": 1}
    found = await calls.get(saved.ref_id)
    assert (found.payload, found.transcript) == (None, None)
    with pytest.raises(NotFound) as caught:
        await calls.read(saved.ref_id, "transcript")
    assert caught.value.field == "transcript"


async def test_an_outdated_version_is_a_conflict(harness: Harness) -> None:
    """Saving an outdated version raises Conflict with both versions, and changes nothing."""
    calls = harness.repository(Call)
    saved = await harness.call(transcript=Blob("# one"))
    mine, theirs = await calls.get(saved.ref_id), await calls.get(saved.ref_id)
    theirs.name = "theirs"
    await calls.save(theirs)
    mine.name = "mine"
    with pytest.raises(Conflict) as caught:
        await calls.save(mine)
    assert (caught.value.expected, caught.value.found) == (1, 2)
    assert (await calls.get(saved.ref_id)).name == "theirs"


async def test_a_conflict_is_found_before_uploads(harness: Harness) -> None:
    """A save with parts raises Conflict at stage, before anything is uploaded."""
    calls = harness.repository(Call)
    saved = await harness.call(transcript=Blob("# one"))
    mine = await calls.get(saved.ref_id)
    await calls.update(saved.ref_id, {"name": "theirs"})
    mine.transcript = Blob("# mine")
    with steps() as seen, pytest.raises(Conflict):
        await calls.save(mine)
    assert trips(seen) == {"postgres.stage": 1}
    assert await calls.read(saved.ref_id, "transcript") == b"# one"


async def test_expected_version_overrides_the_loaded_one(harness: Harness) -> None:
    """With the current expected_version an outdated object can be saved."""
    calls = harness.repository(Call)
    saved = await harness.call()
    await calls.update(saved.ref_id, {"tags": ["theirs"]})
    saved.name = "mine"
    await calls.save(saved, expected_version=2)
    found = await calls.get(saved.ref_id)
    assert (found.name, found.tags, found.version) == ("mine", ["theirs"], 3)


async def test_save_many_is_all_or_nothing(harness: Harness) -> None:
    """If the database refuses one record of a list, no record becomes visible."""
    notes = harness.repository(Call)
    run = await harness.run()
    good, bad = Call(run_id=run.id, name="good"), Call(run_id=uuid4(), name="bad")
    with pytest.raises(ConstraintViolation) as caught:
        await notes.save_many([good, bad])
    assert caught.value.constraint == "calls_run_id_fk_aa57465f"
    with pytest.raises(NotFound):
        await notes.get(good.ref_id)


async def test_save_many_inserts_and_updates(harness: Harness) -> None:
    """A list may contain new and changed records; each gets its own version."""
    runs = harness.repository(Run)
    old = await runs.save(Run(name="old"))
    old.score = 7
    new = Run(name="new")
    assert await runs.save_many([old, new]) == [old, new]
    assert (old.version, new.version) == (2, 1)
    assert (await runs.get(old.ref_id)).score == 7


async def test_save_many_of_nothing_does_nothing(harness: Harness) -> None:
    """Saving an empty list makes no trip."""
    with steps() as seen:
        assert await harness.repository(Run).save_many([]) == []
    assert trips(seen) == {}


async def test_a_record_twice_in_one_list_is_refused(harness: Harness) -> None:
    """The same record twice in one list is refused, and nothing is sent."""
    run = Run(name="x")
    with steps() as seen, pytest.raises(UsageError):
        await harness.repository(Run).save_many([run, run])
    assert trips(seen) == {}


async def test_saving_a_copy_of_a_new_record_is_refused(harness: Harness) -> None:
    """A second record with the ids of another is refused by the primary key, and the first stays."""
    runs = harness.repository(Run)
    first = Run(name="first")
    second = first.model_copy(update={"name": "second"})
    await runs.save(first)
    with pytest.raises(ConstraintViolation):
        await runs.save(second)
    assert (await runs.get(first.ref_id)).name == "first"


async def test_append_only_records_cannot_be_changed(harness: Harness) -> None:
    """A class without Mutable refuses a changed save and update, and nothing is sent."""
    notes = harness.repository(Note)
    note = await notes.save(Note(title="t", content=Blob("c")))
    note.title = "other"
    with steps() as seen:
        with pytest.raises(UsageError):
            await notes.save(note)
        with pytest.raises(UsageError):
            await notes.update(note.ref_id, {"title": "other"})
    assert trips(seen) == {}


async def test_an_unknown_ref_id_is_not_found(harness: Harness) -> None:
    """get of an unknown ref_id raises NotFound with table and ref_id."""
    unknown = Run(name="x").ref_id
    with pytest.raises(NotFound) as caught:
        await harness.repository(Run).get(unknown)
    assert (caught.value.table, caught.value.ref_id) == ("runs", unknown)


async def test_times_come_from_the_server(harness: Harness) -> None:
    """created_on and updated_on of the saved object equal those that get returns."""
    runs = harness.repository(Run)
    run = await runs.save(Run(name="x"))
    run.score = 1
    await runs.save(run)
    found = await runs.get(run.ref_id)
    assert (found.created_on, found.updated_on, found.updated_by) == (
        run.created_on,
        run.updated_on,
        run.updated_by,
    )
    assert found.created_on.utcoffset() == UTC.utcoffset(None)
    assert isinstance(found.id, UUID)
