"""Documents with a time to live: once it is over they read as Expired, never as an error."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storekit import Blob, Expired
from tests.support.entities import Call, Payload
from tests.support.harness import Harness, steps, trips

pytestmark = pytest.mark.parts

LIFE = timedelta(days=90)
SECOND = timedelta(seconds=1)


async def test_a_document_lives_its_time(harness: Harness) -> None:
    """Until its time is over the document loads as what it is."""
    saved = await harness.call(payload=Payload(q="x"))
    harness.move_clock(LIFE - timedelta(minutes=5))
    assert (await harness.repository(Call).get(saved.ref_id, load=["payload"])).payload == Payload(q="x")


async def test_an_expired_document_is_a_value(harness: Harness) -> None:
    """After its time the document loads as Expired with the instant, without a MongoDB trip."""
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


async def test_an_expired_document_is_no_change(harness: Harness) -> None:
    """A record whose document expired is saved with its other changes, and stays expired."""
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
    """Replacing a blob whose linking document has expired writes no document."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# one"))
    harness.move_clock(LIFE + SECOND)
    found = await calls.get(saved.ref_id)
    harness.move_clock(timedelta())
    found.transcript = Blob("# two")
    with steps() as seen:
        await calls.save(found)
    assert trips(seen) == {"postgres.stage": 1, "s3.put": 1, "postgres.commit": 1}


async def test_a_fresh_document_lives_from_its_own_save(harness: Harness) -> None:
    """A document that replaces another gets a whole life of its own."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="old"))
    harness.move_clock(timedelta(hours=10))
    await calls.update(saved.ref_id, {"payload": Payload(q="new")})
    harness.move_clock(LIFE + timedelta(hours=5))
    assert (await calls.get(saved.ref_id, load=["payload"])).payload == Payload(q="new")
    harness.move_clock(LIFE + timedelta(hours=11))
    assert isinstance((await calls.get(saved.ref_id, load=["payload"])).payload, Expired)


async def test_expired_is_not_content(harness: Harness) -> None:
    """Expired cannot be saved as the content of a document; nothing is sent."""
    run = await harness.run()
    assert run.created_on
    call = Call(run_id=run.id, name="x", payload=Expired(run.created_on))
    with steps() as seen, pytest.raises(Exception, match=r"Call\.payload"):
        await harness.repository(Call).save(call)
    assert trips(seen) == {}
