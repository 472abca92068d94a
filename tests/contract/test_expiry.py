"""Documents with a time to live: once it is over they read as Expired, never as an error."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storekit import Blob, Expired
from tests.support.entities import Call, Payload, Run
from tests.support.harness import World, steps, trips

LIFE = timedelta(days=90)
SECOND = timedelta(seconds=1)


async def test_a_document_lives_its_time(world: World) -> None:
    """Until its time is over the document loads as what it is."""
    saved = await world.call(payload=Payload(q="x"))
    world.move_clock(LIFE - timedelta(minutes=5))
    assert (await world.repository(Call).get(saved.ref_id, load=["payload"])).payload == Payload(q="x")


async def test_an_expired_document_is_a_value(world: World) -> None:
    """After its time the document loads as Expired with the instant, without a MongoDB trip."""
    saved = await world.call(payload=Payload(q="x"), transcript=Blob("# hi"))
    world.move_clock(LIFE + SECOND)
    with steps() as seen:
        found = await world.repository(Call).get(saved.ref_id, load=["payload"])
    assert isinstance(found.payload, Expired)
    assert abs(found.payload.on - saved.created_on - LIFE) < timedelta(minutes=1)
    assert trips(seen) == {"postgres.select": 1}
    assert await world.repository(Call).read(saved.ref_id, "transcript") == b"# hi"
    assert "expired" in await world.repository(Call).explain(saved.ref_id)


async def test_an_expired_document_is_no_change(world: World) -> None:
    """A record whose document expired is saved with its other changes, and stays expired."""
    calls = world.repository(Call)
    saved = await world.call(payload=Payload(q="x"))
    world.move_clock(LIFE + SECOND)
    found = await calls.get(saved.ref_id, load=["payload"])
    world.move_clock(timedelta())
    found.name = "renamed"
    with steps() as seen:
        await calls.save(found)
    assert trips(seen) == {"postgres.commit": 1}
    world.move_clock(LIFE + SECOND)
    assert isinstance((await calls.get(saved.ref_id, load=["payload"])).payload, Expired)


async def test_a_blob_linked_by_an_expired_document_is_replaced_alone(world: World) -> None:
    """Replacing a blob whose linking document has expired writes no document."""
    calls = world.repository(Call)
    saved = await world.call(payload=Payload(q="x"), transcript=Blob("# one"))
    world.move_clock(LIFE + SECOND)
    found = await calls.get(saved.ref_id)
    world.move_clock(timedelta())
    found.transcript = Blob("# two")
    with steps() as seen:
        await calls.save(found)
    assert trips(seen) == {"postgres.stage": 1, "s3.put": 1, "postgres.commit": 1}


async def test_a_fresh_document_lives_from_its_own_save(world: World) -> None:
    """A document that replaces another gets a whole life of its own."""
    calls = world.repository(Call)
    saved = await world.call(payload=Payload(q="old"))
    world.move_clock(timedelta(hours=10))
    await calls.update(saved.ref_id, {"payload": Payload(q="new")})
    world.move_clock(LIFE + timedelta(hours=5))
    assert (await calls.get(saved.ref_id, load=["payload"])).payload == Payload(q="new")
    world.move_clock(LIFE + timedelta(hours=11))
    assert isinstance((await calls.get(saved.ref_id, load=["payload"])).payload, Expired)


async def test_expired_is_not_content(world: World) -> None:
    """Expired cannot be saved as the content of a document; nothing is sent."""
    run: Run = await world.run()
    call = Call(run_id=run.id, name="x", payload=Expired(run.created_on))
    with steps() as seen, pytest.raises(Exception, match=r"Call\.payload"):
        await world.repository(Call).save(call)
    assert trips(seen) == {}
