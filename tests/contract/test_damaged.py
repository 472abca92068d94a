"""Documents that are damaged or missing in MongoDB."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pymongo
import pytest
from bson import ObjectId

from storekit import Corrupt, Expired
from storekit.model.save.memory import stored_parts
from tests.support.entities import Call, Payload, Report, Run
from tests.support.harness import Harness

Damage = Callable[[dict[str, Any]], dict[str, Any] | None]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "missing": (lambda _: None, "found nothing"),
    "changed": (lambda found: {**found, "body": {"q": "other"}}, "found sha256"),
    "no body": (lambda found: {key: found[key] for key in found if key != "body"}, "found sha256"),
    "a text": (lambda found: {**found, "body": "text"}, "found"),
    "a type without a class": (lambda found: {**found, "body": {"q": ObjectId()}}, "found"),
}


class Numbered(Call):
    """A call whose code reads the document."""

    def model_post_init(self, context: Any, /) -> None:
        if self.payload is not None and not isinstance(self.payload, Expired):
            assert self.payload.q


def damage(harness: Harness, record: Any, field: str, change: Damage) -> None:
    """Change a stored document behind the back of storekit."""
    part, url = stored_parts(record)[field], harness.store.settings.mongo_url
    if url is None:
        documents: Any = harness.store._ports.documents
        collection = documents.collections[part.key]
        made = change(collection.pop(part.part_id))
        if made is not None:
            collection[part.part_id] = made
        return
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(url.get_secret_value(), uuidRepresentation="standard") as client:
        stored: Any = client[harness.store.settings.mongo_database][part.key]
        found = stored.find_one({"_id": part.part_id})
        assert found is not None
        made = change(found)
        stored.delete_one({"_id": part.part_id})
        if made is not None:
            stored.insert_one(made, bypass_document_validation=True)


def corrupt(record: Any, field: str, why: str) -> None:
    """Check that a field, and no other one, raises Corrupt."""
    for _ in range(2):
        with pytest.raises(Corrupt, match=why) as raised:
            getattr(record, field)
        assert str(stored_parts(record)[field].part_id) in raised.value.ref
        assert not raised.value.retryable
    assert f"{field}=<unreadable>" in repr(record)
    assert record.version == 1


@pytest.mark.parametrize("how", DAMAGES)
async def test_one_document_hides_no_page(harness: Harness, how: str) -> None:
    """find returns every record of a page; a damaged or missing document raises Corrupt when its field
    is read."""
    change, why = DAMAGES[how]
    made = [await harness.call(name=str(n), payload=Payload(q=str(n))) for n in range(3)]
    damage(harness, made[1], "payload", change)
    page = await harness.repository(Call).find(order_by="ref_id", load=["payload"])
    assert [each.name for each in page] == ["0", "1", "2"]
    assert [page[n].payload for n in (0, 2)] == [Payload(q="0"), Payload(q="2")]
    corrupt(page[1], "payload", why)


async def test_get_raises_at_once(harness: Harness) -> None:
    """get raises Corrupt for a damaged document that it is asked for, and returns the record without it."""
    made = await harness.call(payload=Payload(q="x"))
    damage(harness, made, "payload", lambda _: None)
    calls = harness.repository(Call)
    with pytest.raises(Corrupt, match="found nothing"):
        await calls.get(made.ref_id, load=["payload"])
    assert (await calls.get(made.ref_id)).name == "search"


async def test_a_damaged_document_can_be_replaced(harness: Harness) -> None:
    """A save of a record with a damaged document changes nothing of it, unless the field was assigned."""
    made = await harness.call(payload=Payload(q="x"))
    damage(harness, made, "payload", lambda _: None)
    calls = harness.repository(Call)
    [found] = await calls.find(load=["payload"])
    found.name = "renamed"
    await calls.save(found)
    with pytest.raises(Corrupt):
        _ = found.payload
    found.payload = Payload(q="new")
    await calls.save(found)
    assert found.payload == Payload(q="new")
    again = await calls.get(made.ref_id, load=["payload"])
    assert (again.payload, again.name, again.version) == (Payload(q="new"), "renamed", 3)


async def test_model_post_init_stops_at_a_damaged_document(harness: Harness) -> None:
    """A model_post_init that reads a damaged document ends there, as with one that is not loaded."""
    made = await harness.call(payload=Payload(q="x"))
    damage(harness, made, "payload", lambda _: None)
    [found] = await harness.repository(Numbered).find(load=["payload"])
    assert found.name == "search"
    corrupt(found, "payload", "found nothing")


async def test_a_repeated_unit_returns_its_records(harness: Harness) -> None:
    """A repetition of a unit that is committed fills its objects; a damaged document raises Corrupt when its
    field is read."""
    run = await harness.repository(Run).save(Run(name="a"))
    reports: list[Report] = []
    for _ in range(2):
        report = Report(title="t", run_id=run.id, body={"n": 1})
        async with harness.unit(idempotency_key="k") as tx:
            tx.save(report)
        reports.append(report)
        if len(reports) == 1:
            damage(harness, report, "body", lambda _: None)
    assert reports[1].ref_id == reports[0].ref_id
    corrupt(reports[1], "body", "found nothing")


async def test_an_expired_document_is_not_damaged(harness: Harness) -> None:
    """A document that is missing after its expiry is Expired."""
    made = await harness.call(payload=Payload(q="x"))
    damage(harness, made, "payload", lambda _: None)
    harness.move_clock(timedelta(days=91))
    [found] = await harness.repository(Call).find(load=["payload"])
    assert isinstance(found.payload, Expired)
