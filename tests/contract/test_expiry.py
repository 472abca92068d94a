"""Documents with a time to live: after their expiry they are read as Expired."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storekit import Blob, Expired
from tests.support.entities import Call, Payload
from tests.support.harness import Harness, steps, trips

pytestmark = pytest.mark.parts

LIFE = timedelta(days=90)
SECOND = timedelta(seconds=1)


async def test_a_document_can_be_loaded_before_its_expiry(harness: Harness) -> None:
    """A document can be loaded until its time to live is over."""
    saved = await harness.call(payload=Payload(q="x"))
    harness.move_clock(LIFE - timedelta(minutes=5))
    assert (await harness.repository(Call).get(saved.ref_id, load=["payload"])).payload == Payload(q="x")


async def test_an_expired_document_is_loaded_as_expired(harness: Harness) -> None:
    """An expired document is loaded as Expired with the time, without a trip to MongoDB."""
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# hi"))
    harness.move_clock(LIFE + SECOND)
    with steps() as seen:
        found = await harness.repository(Call).get(saved.ref_id, load=["payload"])
    assert isinstance(found.payload, Expired)
    assert saved.created_on
    assert abs(found.payload.on - saved.created_on - LIFE) < timedelta(minutes=1)
    assert trips(seen) == {"postgres.select": 1}
    assert await harness.repository(Call).read(saved.ref_id, "transcript") == b"# hi"
    assert "expired" in await harness.repository(Call).explain(saved.ref_id)


async def test_an_expired_document_is_not_a_change(harness: Harness) -> None:
    """Saving other changes of the record leaves its expired document expired."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="x"))
    harness.move_clock(LIFE + SECOND)
    found = await calls.get(saved.ref_id, load=["payload"])
    harness.move_clock(timedelta())
    found.name = "renamed"
    with steps() as seen:
        await calls.save(found)
    assert trips(seen) == {"postgres.commit": 1}
    harness.move_clock(LIFE + SECOND)
    assert isinstance((await calls.get(saved.ref_id, load=["payload"])).payload, Expired)


async def test_a_blob_linked_by_an_expired_document_is_replaced_alone(harness: Harness) -> None:
    """Replacing a blob that an expired document links writes no document."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# one"))
    harness.move_clock(LIFE + SECOND)
    found = await calls.get(saved.ref_id)
    harness.move_clock(timedelta())
    found.transcript = Blob("# two")
    with steps() as seen:
        await calls.save(found)
    assert trips(seen) == {"postgres.stage": 1, "s3.put": 1, "postgres.commit": 1}


async def test_a_new_document_has_a_new_expiry(harness: Harness) -> None:
    """A document that replaces another gets the whole time to live."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="old"))
    harness.move_clock(timedelta(hours=10))
    await calls.update(saved.ref_id, {"payload": Payload(q="new")})
    harness.move_clock(LIFE + timedelta(hours=5))
    assert (await calls.get(saved.ref_id, load=["payload"])).payload == Payload(q="new")
    harness.move_clock(LIFE + timedelta(hours=11))
    assert isinstance((await calls.get(saved.ref_id, load=["payload"])).payload, Expired)


async def test_expired_cannot_be_saved(harness: Harness) -> None:
    """Saving Expired as a document raises an error, and nothing is sent."""
    run = await harness.run()
    assert run.created_on
    call = Call(run_id=run.id, name="x", payload=Expired(run.created_on))
    with steps() as seen, pytest.raises(Exception, match=r"Call\.payload"):
        await harness.repository(Call).save(call)
    assert trips(seen) == {}
