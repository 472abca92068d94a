"""Bulk calls: insert, upsert, update and delete many records in one commit or not at all."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from storekit import Blob, ConstraintViolation, InvalidTransition, NotFound, UsageError, ValidationError
from storekit.flows.write import bulk
from tests.support.entities import Call, Hit, Kind, Lead, Note, Order, OrderStatus, Payload, Run, Stage
from tests.support.harness import Harness, steps, trips

HITS = [f"evt_{i}" for i in range(10)]


def hits(*numbers: int, **values: Any) -> list[Hit]:
    return [Hit(external_id=HITS[i], **values) for i in numbers]


async def test_insert_ignore_saves_new_records_and_returns_them(harness: Harness) -> None:
    """insert_ignore saves each natural key once, and returns only the records that were new."""
    records = harness.repository(Hit)
    first = await records.insert_ignore(hits(0, 1, 2))
    assert [hit.version for hit in first] == [1, 1, 1]
    events = hits(2, 3, 3, 1)
    new = await records.insert_ignore(events)
    assert [hit.external_id for hit in new] == ["evt_3"]
    assert new[0] is events[1]
    assert [hit.version for hit in events] == [None, 1, None, None]
    assert await records.insert_ignore(hits(*range(4))) == []
    assert await records.insert_ignore([]) == []
    assert await records.count() == 4
    assert await records.insert_ignore([Hit(kind=Kind.CLICKED, external_id=HITS[0])])


async def test_insert_ignore_considers_records_flushed_by_its_unit(harness: Harness) -> None:
    """insert_ignore skips records that the same unit has flushed; an upsert of them is refused."""
    first, again, new = hits(0, 1, payload={"a": 1}), hits(1), hits(2)
    async with harness.unit() as tx:
        tx.insert_ignore(first)
        await tx.flush()
        tx.insert_ignore([*again, *new])
        await tx.flush()
    assert [hit.version for hit in (*first, *again, *new)] == [1, 1, None, 1]
    assert await harness.repository(Hit).count() == 3
    with pytest.raises(ValidationError, match="a record that was flushed before"):
        await harness.work(
            lambda tx: tx.upsert([Lead(number="1")]),
            lambda tx: tx.flush(),
            lambda tx: tx.upsert([Lead(number="1")]),
        )


async def test_insert_ignore_uploads_parts_of_new_records_only(harness: Harness) -> None:
    """A record that exists already costs one read: none of its parts is uploaded."""
    records = harness.repository(Hit)
    with steps() as seen:
        await records.insert_ignore(hits(0, 1, payload={"a": 1}, proof=Blob("p")))
    assert trips(seen) == {
        "postgres.select": 1, "postgres.stage": 1, "s3.put": 2, "mongo.insert": 1, "postgres.commit": 1,
    }  # fmt: skip
    with steps() as seen:
        await records.insert_ignore(hits(0, 1, payload={"a": 2}, proof=Blob("q")))
    assert trips(seen) == {"postgres.select": 1}
    with steps() as seen:
        (new,) = await records.insert_ignore(hits(1, 2, proof=Blob("r")))
    assert trips(seen)["s3.put"] == 1
    assert await records.read(new.ref_id, "proof") == b"r"


async def test_concurrent_insert_ignore_saves_each_record_once(harness: Harness) -> None:
    """When callers insert overlapping batches concurrently, each record is new to exactly one caller."""
    records = harness.repository(Hit)
    batches = [hits(*[(start + i) % 10 for i in range(6)]) for start in range(8)]
    new = await asyncio.gather(*(records.insert_ignore(batch) for batch in batches))
    assert sorted(hit.external_id for batch in new for hit in batch) == sorted(HITS)
    assert await records.count() == 10


async def test_upsert_inserts_new_records_and_updates_given_fields_of_others(harness: Harness) -> None:
    """upsert keeps the fields that are not set, and does not write unchanged records."""
    leads = harness.repository(Lead)
    old = await leads.save(Lead(number="1", team="red", score=1, stage=Stage.WON, worth=Decimal("1.0")))
    same = await leads.save(Lead(number="2", score=5))
    with steps() as seen:
        done = await leads.upsert(
            [Lead(number="1", score=2, worth=Decimal("1.0")), Lead(number="2", score=5), Lead(number="3")]
        )
    assert trips(seen) == {"postgres.select": 1, "postgres.commit": 1}
    assert [lead.version for lead in done] == [2, 1, 1]
    assert [lead.ref_id for lead in done[:2]] == [old.ref_id, same.ref_id]
    found = await leads.get(old.ref_id)
    assert (found.team, found.score, found.stage) == ("red", 2, Stage.WON)
    assert len(await leads.history(same.ref_id)) == 1
    with steps() as seen:
        await leads.upsert([Lead(number="2", score=5)])
    assert trips(seen) == {"postgres.select": 1}


async def test_upsert_writes_only_changed_parts(harness: Harness) -> None:
    """upsert uploads the documents and blobs of an existing record only if they differ."""
    leads = harness.repository(Lead)
    (lead,) = await leads.upsert([Lead(number="1", notes={"a": 1}, letter={"b": 1})])
    with steps() as seen:
        (again,) = await leads.upsert([Lead(number="1", notes={"a": 1}, letter={"b": 2})])
    assert trips(seen)["mongo.insert"] == 1
    found = await leads.get(again.ref_id, load=["notes", "letter"])
    assert (found.ref_id, found.notes, found.letter) == (lead.ref_id, {"a": 1}, {"b": 2})


async def test_concurrent_upserts_insert_each_record_once(harness: Harness) -> None:
    """When callers upsert the same keys concurrently, one of them inserts and the others update."""
    leads = harness.repository(Lead)
    done = await asyncio.gather(
        *(leads.upsert([Lead(number="1", score=i), Lead(number="2")]) for i in range(1, 7))
    )
    assert len({lead.ref_id for batch in done for lead in batch}) == 2
    (found,) = await leads.find({"number": "1"})
    assert found.version == len(await leads.history(found.ref_id))


async def test_upsert_refuses_duplicates_and_saved_records(harness: Harness) -> None:
    """A duplicate key, the key of a deleted record and a saved record raise an error with the index."""
    leads = harness.repository(Lead)
    gone = await leads.save(Lead(number="1"))
    await leads.delete(gone.ref_id)
    with pytest.raises(ConstraintViolation, match=f"deleted record {gone.ref_id} still has") as held:
        await leads.upsert([Lead(number="2"), Lead(number="1")])
    assert (held.value.index, held.value.held_by, held.value.fields) == (1, gone.ref_id, ("number",))
    with pytest.raises(
        ValidationError, match=r"\[2\] duplicate natural key: record \[0\] has number='3' too"
    ):
        await leads.upsert([Lead(number="3"), Lead(number="4"), Lead(number="3")])
    saved = await leads.save(Lead(number="5"))
    with pytest.raises(UsageError, match=r"\[1\] .* use save\(\) to write its changes"):
        await leads.upsert([Lead(number="6"), saved])
    assert await leads.insert_ignore([Lead(number="1")]) == []
    bad = Lead(number="9", run_id=uuid4())
    with pytest.raises(ConstraintViolation) as dangling:
        await leads.insert_ignore([Lead(number="1"), Lead(number="8"), bad])
    assert dangling.value.index == 2
    assert [lead.number for lead in await leads.find()] == ["5"]


async def test_an_invalid_record_is_reported_by_index_and_nothing_is_sent(harness: Harness) -> None:
    """An invalid record raises an error with its index before anything is sent."""
    leads = harness.repository(Lead)
    bad = Lead(number="bad")
    bad.__dict__["score"] = 2**63
    many = [Lead(number=str(i), notes={"i": i}) for i in range(1000)]
    many[617] = bad
    with pytest.raises(ValidationError, match=r"^\[617\] Lead.score: ") as refused, steps() as seen:
        await leads.save_many(many)
    assert (refused.value.index, trips(seen)) == (617, {})
    assert await leads.count() == 0


async def test_a_record_that_the_database_refuses_is_reported_by_index(harness: Harness) -> None:
    """A duplicate key and a broken reference raise an error with the index of the record."""
    leads, records = harness.repository(Lead), harness.repository(Hit)
    taken = await leads.save(Lead(number="7", email="a@example.com"))
    for many, fields in (
        ([Lead(number=str(i)) for i in range(5, 9)], ("number",)),
        ([Lead(number="20"), Lead(number="21"), Lead(number="21")], ("number",)),
        ([Lead(number="30"), Lead(number="31", email="x"), Lead(number="32", email=taken.email)], ("email",)),
    ):
        with pytest.raises(ConstraintViolation) as refused:
            await leads.save_many(many)
        assert (refused.value.index, refused.value.fields) == (2, fields)
    with pytest.raises(ConstraintViolation) as refused:
        await records.save_many(
            [Hit(external_id="1", lead_id=taken.id), Hit(external_id="2", lead_id=uuid4())]
        )
    assert refused.value.index == 1
    assert (await leads.count(), await records.count()) == (1, 0)


async def test_progress_is_reported_up_to_the_total(harness: Harness) -> None:
    """progress receives the number of records whose parts are uploaded, up to the total."""
    reported: list[tuple[int, int]] = []
    many = [Note(title=str(i), content=Blob(str(i))) for i in range(8)]
    await harness.repository(Note).save_many(many, progress=lambda *pair: reported.append(pair))
    assert reported == [(i, 8) for i in range(1, 9)]
    reported.clear()
    await harness.repository(Run).save_many([Run(name="x")] * 1, progress=lambda *pair: reported.append(pair))
    assert reported == [(1, 1)]


async def test_a_batch_of_several_chunks_is_one_commit(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is sent in several chunks becomes visible in one commit or not at all."""
    monkeypatch.setattr(bulk, "_MOST", 3)
    reported: list[tuple[int, int]] = []
    many = [Hit(external_id=str(i), payload={"i": i}) for i in range(8)]
    records = harness.repository(Hit)
    with steps() as seen:
        saved = await records.save_many(many, progress=lambda *pair: reported.append(pair))
    assert (seen["postgres.stage"], seen["mongo.insert"], reported[-1]) == (3, 3, (8, 8))
    assert saved == many
    assert [hit.version for hit in many] == [1] * 8
    again = [Hit(external_id=name) for name in ("20", "21", "22", "23", "3")]
    with pytest.raises(ConstraintViolation) as refused:
        await records.save_many(again)
    assert ([hit.version or None for hit in again], await records.count()) == ([None] * 5, 8)
    assert refused.value.index == 4
    with pytest.raises(UsageError, match="an idempotency key identifies one write"):
        await records.save_many([Hit(external_id=str(i)) for i in range(30, 38)], idempotency_key="k")


async def test_the_size_of_documents_limits_a_chunk(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large documents are sent in several waves."""
    monkeypatch.setattr(bulk, "_MOST_BYTES", 2000)
    records = harness.repository(Hit)
    with steps() as seen:
        await records.save_many([Hit(external_id=str(i), payload={"i": "x" * 900}) for i in range(7)])
    assert seen["postgres.stage"] == 3
    assert await records.count() == 7


async def test_update_many_writes_different_fields_in_one_trip(harness: Harness) -> None:
    """update_many writes different fields of many records in one commit, and returns the records."""
    leads = harness.repository(Lead)
    a, b, c = await leads.save_many([Lead(number=str(i)) for i in range(3)])
    with steps() as seen:
        done = await leads.update_many({b.ref_id: {"score": 2}, a.ref_id: {"team": "red", "score": 1}})
    assert trips(seen) == {"postgres.commit": 1}
    assert [(lead.number, lead.score, lead.team, lead.version) for lead in done] == [
        ("1", 2, None, 2), ("0", 1, "red", 2),
    ]  # fmt: skip
    for wrong, error, index in (
        ({a.ref_id: {"score": 3}, Run(name="").ref_id: {"score": 3}}, NotFound, 1),
        ({a.ref_id: {"score": 3}, c.ref_id: {"score": "many"}}, ValidationError, 1),
        ({a.ref_id: {"score": 3}, "nonsense": {"score": 3}}, ValidationError, 1),
    ):
        with pytest.raises(error) as refused:
            await leads.update_many(wrong)
        assert refused.value.index == index
    with pytest.raises(ValidationError):
        await leads.update_many([a.ref_id])
    assert (await leads.get(a.ref_id)).score == 1
    assert await leads.update_many({}) == []


async def test_update_many_with_parts_is_one_wave(harness: Harness) -> None:
    """update_many uploads new parts in one wave; a document is rewritten after the blob that it links."""
    calls, run = harness.repository(Call), await harness.run()
    made = [Call(run_id=run.id, name=n, payload=Payload(q=n), transcript=Blob(n)) for n in "ab"]
    await calls.save_many(made)
    with steps() as seen:
        await calls.update_many({call.ref_id: {"transcript": Blob("new " + call.name)} for call in made})
    assert trips(seen) == {
        "postgres.select": 1, "mongo.fetch": 1, "postgres.stage": 1, "s3.put": 2, "mongo.insert": 1,
        "postgres.commit": 1,
    }  # fmt: skip
    assert await calls.read(made[1].ref_id, "transcript") == b"new b"
    assert (await calls.get(made[0].ref_id, load=["payload"])).payload == Payload(q="a")


async def test_update_many_obeys_the_state_machine(harness: Harness) -> None:
    """A move that is not allowed for one record leaves all records unchanged."""
    orders = harness.repository(Order)
    a, b = await orders.save_many([Order(number="1"), Order(number="2")])
    with pytest.raises(InvalidTransition) as refused:
        await orders.update_many(
            {a.ref_id: {"status": OrderStatus.CONFIRMED}, b.ref_id: {"status": OrderStatus.DELIVERED}}
        )
    assert refused.value.index == 1
    assert (await orders.get(a.ref_id)).status == OrderStatus.PENDING


async def test_delete_many_is_one_trip_and_all_or_nothing(harness: Harness) -> None:
    """delete_many takes one trip; if a record is missing, none is deleted and the error has its index."""
    leads = harness.repository(Lead)
    many = await leads.save_many([Lead(number=str(i)) for i in range(5)])
    ids = [lead.ref_id for lead in many]
    with pytest.raises(NotFound) as missing:
        await leads.delete_many([*ids[:2], Run(name="").ref_id])
    assert missing.value.index == 2
    assert await leads.count() == 5
    with steps() as seen:
        await leads.delete_many(ids[:3])
    assert trips(seen) == {"postgres.commit": 1}
    assert await leads.count() == 2
    await leads.delete_many([])
    for wrong in (ids[3], [ids[3], ids[3]]):
        with pytest.raises(UsageError):
            await leads.delete_many(wrong)
    with pytest.raises(UsageError, match="append-only"):
        await harness.repository(Note).delete_many([ids[0]])
