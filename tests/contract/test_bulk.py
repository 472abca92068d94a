"""Many records at once: saved, told apart by their natural key, changed and deleted, all or nothing."""

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


async def test_insert_ignore_adds_what_is_new_and_answers_that(harness: Harness) -> None:
    """Of events that come at least once each is kept once; the call tells which were new."""
    records = harness.repository(Hit)
    first = await records.insert_ignore(hits(0, 1, 2))
    assert [hit.version for hit in first] == [1, 1, 1]
    given = hits(2, 3, 3, 1)
    new = await records.insert_ignore(given)
    assert [hit.external_id for hit in new] == ["evt_3"]
    assert new[0] is given[1]
    assert [hit.version for hit in given] == [None, 1, None, None]
    assert await records.insert_ignore(hits(*range(4))) == []
    assert await records.insert_ignore([]) == []
    assert await records.count() == 4
    assert await records.insert_ignore([Hit(kind=Kind.CLICKED, external_id=HITS[0])])


async def test_insert_ignore_knows_what_its_unit_has_flushed(harness: Harness) -> None:
    """What comes again in a later page of the same unit is ignored; an upsert of it is refused."""
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


async def test_insert_ignore_uploads_the_parts_of_what_is_new_alone(harness: Harness) -> None:
    """A record that is there costs its look-up: none of its parts is sent."""
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


async def test_many_who_insert_the_same_events_keep_each_once(harness: Harness) -> None:
    """Of callers who race with overlapping batches, each event is new to exactly one."""
    records = harness.repository(Hit)
    batches = [hits(*[(start + i) % 10 for i in range(6)]) for start in range(8)]
    new = await asyncio.gather(*(records.insert_ignore(batch) for batch in batches))
    assert sorted(hit.external_id for batch in new for hit in batch) == sorted(HITS)
    assert await records.count() == 10


async def test_upsert_inserts_what_is_new_and_writes_the_given_fields_of_the_rest(harness: Harness) -> None:
    """A field that was not given keeps its value, and what is as it shall be is not written."""
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


async def test_upsert_writes_the_parts_that_changed(harness: Harness) -> None:
    """Of a record that is there, a document that differs is written afresh, one that does not is not."""
    leads = harness.repository(Lead)
    (lead,) = await leads.upsert([Lead(number="1", notes={"a": 1}, letter={"b": 1})])
    with steps() as seen:
        (again,) = await leads.upsert([Lead(number="1", notes={"a": 1}, letter={"b": 2})])
    assert trips(seen)["mongo.insert"] == 1
    found = await leads.get(again.ref_id, load=["notes", "letter"])
    assert (found.ref_id, found.notes, found.letter) == (lead.ref_id, {"a": 1}, {"b": 2})


async def test_many_who_upsert_the_same_records_make_each_once(harness: Harness) -> None:
    """Of callers who race with one key, one inserts and the others write what they were given."""
    leads = harness.repository(Lead)
    done = await asyncio.gather(
        *(leads.upsert([Lead(number="1", score=i), Lead(number="2")]) for i in range(1, 7))
    )
    assert len({lead.ref_id for batch in done for lead in batch}) == 2
    (found,) = await leads.find({"number": "1"})
    assert found.version == len(await leads.history(found.ref_id))


async def test_upsert_refuses_what_it_cannot_mean(harness: Harness) -> None:
    """A key that comes twice or that a deleted record holds, and a saved record, are refused by index."""
    leads = harness.repository(Lead)
    gone = await leads.save(Lead(number="1"))
    await leads.delete(gone.ref_id)
    with pytest.raises(ConstraintViolation, match=f"{gone.ref_id}, which is deleted") as held:
        await leads.upsert([Lead(number="2"), Lead(number="1")])
    assert held.value.index == 1
    with pytest.raises(
        ValidationError, match=r"\[2\] duplicate natural key: the same as that of record \[0\]"
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


async def test_one_bad_record_of_a_thousand_is_named_and_nothing_is_written(harness: Harness) -> None:
    """What is wrong with one record is told with its place, before anything is sent."""
    leads = harness.repository(Lead)
    bad = Lead(number="bad")
    bad.__dict__["score"] = 2**63
    many = [Lead(number=str(i), notes={"i": i}) for i in range(1000)]
    many[617] = bad
    with pytest.raises(ValidationError, match=r"^\[617\] Lead.score: ") as refused, steps() as seen:
        await leads.save_many(many)
    assert (refused.value.index, trips(seen)) == (617, {})
    assert await leads.count() == 0


async def test_a_record_that_the_database_refuses_is_named(harness: Harness) -> None:
    """A key that is taken, in the database or in the batch, and a reference to nothing tell whose it is."""
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


async def test_progress_is_told_to_the_end(harness: Harness) -> None:
    """A caller hears how many records have their parts in the stores, up to all of them."""
    told: list[tuple[int, int]] = []
    many = [Note(title=str(i), content=Blob(str(i))) for i in range(8)]
    await harness.repository(Note).save_many(many, progress=lambda *pair: told.append(pair))
    assert told == [(i, 8) for i in range(1, 9)]
    told.clear()
    await harness.repository(Run).save_many([Run(name="x")] * 1, progress=lambda *pair: told.append(pair))
    assert told == [(1, 1)]


async def test_a_batch_beyond_one_chunk_is_one_commit(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More records than one write takes are sent in several, and are visible together or not at all."""
    monkeypatch.setattr(bulk, "_MOST", 3)
    told: list[tuple[int, int]] = []
    many = [Hit(external_id=str(i), payload={"i": i}) for i in range(8)]
    records = harness.repository(Hit)
    with steps() as seen:
        saved = await records.save_many(many, progress=lambda *pair: told.append(pair))
    assert (seen["postgres.stage"], seen["mongo.insert"], told[-1]) == (3, 3, (8, 8))
    assert saved == many
    assert [hit.version for hit in many] == [1] * 8
    again = [Hit(external_id=name) for name in ("20", "21", "22", "23", "3")]
    with pytest.raises(ConstraintViolation) as refused:
        await records.save_many(again)
    assert ([hit.version for hit in again], await records.count()) == ([None] * 5, 8)
    assert refused.value.index == 4
    with pytest.raises(UsageError, match="an idempotency key identifies one write"):
        await records.save_many([Hit(external_id=str(i)) for i in range(30, 38)], idempotency_key="k")


async def test_a_chunk_ends_with_its_documents_too(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents that are many bytes together are sent in several waves."""
    monkeypatch.setattr(bulk, "_MOST_BYTES", 2000)
    records = harness.repository(Hit)
    with steps() as seen:
        await records.save_many([Hit(external_id=str(i), payload={"i": "x" * 900}) for i in range(7)])
    assert seen["postgres.stage"] == 3
    assert await records.count() == 7


async def test_update_many_writes_each_record_its_own_fields_in_one_trip(harness: Harness) -> None:
    """Different fields of many records are one commit; the records come back as they are."""
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
    """New parts of many records go up together; a document follows the blob that it links."""
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
    """A move that one record's machine has not leaves all where they were."""
    orders = harness.repository(Order)
    a, b = await orders.save_many([Order(number="1"), Order(number="2")])
    with pytest.raises(InvalidTransition) as refused:
        await orders.update_many(
            {a.ref_id: {"status": OrderStatus.CONFIRMED}, b.ref_id: {"status": OrderStatus.DELIVERED}}
        )
    assert refused.value.index == 1
    assert (await orders.get(a.ref_id)).status == OrderStatus.PENDING


async def test_delete_many_is_one_trip_all_or_none(harness: Harness) -> None:
    """Many records go by one trip; if one of them is not there, none goes, and it is named."""
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
