"""Import cursors: a position in another system, moved in the commit of the data read from there."""

from __future__ import annotations

from uuid import uuid4

import pytest

from storekit import Conflict, UsageError, ValidationError
from tests.support.entities import Hit
from tests.support.harness import Harness, fail, steps, trips


async def test_a_cursor_moves_in_the_commit_of_its_data(harness: Harness) -> None:
    """The imported records and the new position become visible in one commit."""
    cursor = await harness.cursor("webhooks")
    assert cursor.position is None
    with steps() as seen:
        async with harness.unit() as tx:
            tx.insert_ignore([Hit(external_id="1"), Hit(external_id="2")])
            tx.advance(cursor, "evt_2")
    assert trips(seen) == {"postgres.select": 1, "postgres.commit": 1}
    assert cursor.position == "evt_2"
    with steps() as seen:
        assert (await harness.cursor("webhooks")).position == "evt_2"
    assert trips(seen) == {"postgres.select": 1}
    async with harness.unit() as tx:
        tx.advance(cursor, "evt_3")
    assert (await harness.cursor("webhooks")).position == "evt_3"
    assert (await harness.cursor("payments")).position is None
    assert (await harness.cursor("webhooks", tenant=uuid4())).position is None


@pytest.mark.parametrize("first", [True, False])
async def test_one_of_two_concurrent_moves_wins(harness: Harness, first: bool) -> None:
    """A unit that moves a cursor from an outdated position raises Conflict and saves nothing."""
    if not first:
        async with harness.unit() as tx:
            tx.advance(await harness.cursor("webhooks"), "evt_0")
    mine, theirs = await harness.cursor("webhooks"), await harness.cursor("webhooks")
    async with harness.unit() as tx:
        tx.insert_ignore([Hit(external_id="1")])
        tx.advance(theirs, "evt_1")
    hit = Hit(external_id="2")
    with pytest.raises(Conflict):
        await harness.work(lambda tx: tx.insert_ignore([hit]), lambda tx: tx.advance(mine, "evt_2"))
    assert await harness.repository(Hit).count() == 1
    assert (await harness.cursor("webhooks")).position == "evt_1"


async def test_a_failed_unit_does_not_move_the_cursor(harness: Harness) -> None:
    """After a unit failed, the same cursor has its old position and can be moved by another unit."""
    cursor = await harness.cursor("webhooks")
    asks = lambda tx: tx.save(Hit(external_id="1")), lambda tx: tx.advance(cursor, "evt_1")
    with pytest.raises(ZeroDivisionError):
        await harness.work(*asks, fail)
    assert cursor.position is None
    await harness.work(*asks)
    position: str | None = cursor.position
    assert (position, await harness.repository(Hit).count()) == ("evt_1", 1)


async def test_an_invalid_name_or_position_is_refused(harness: Harness) -> None:
    """Names and positions are non-empty texts, and a cursor must be read before it is moved."""
    scope = harness.store.scope(tenant=harness.tenant, actor="user:tester")
    for name in ("", None, 7, "x" * 256, "a\0"):
        with pytest.raises(ValidationError):
            scope.cursor(name)  # type: ignore[arg-type]
    async with harness.unit() as tx:
        with pytest.raises(UsageError, match="was not read"):
            tx.advance(scope.cursor("webhooks"), "evt_1")
        cursor = await harness.cursor("webhooks")
        for to in ("", None, 7, {"$gt": ""}, "x" * 5000, "a\0"):
            with pytest.raises(ValidationError):
                tx.advance(cursor, to)
        with pytest.raises(UsageError, match="takes a cursor"):
            tx.advance("webhooks", "evt_1")
    assert (await harness.cursor("webhooks")).position is None


async def test_a_cursor_of_another_tenant_is_refused(harness: Harness) -> None:
    """Moving the cursor of another tenant's scope is refused, and neither cursor moves."""
    other = uuid4()
    mine, theirs = await harness.cursor("webhooks"), await harness.cursor("webhooks", tenant=other)
    with pytest.raises(UsageError, match="belongs to another tenant"):
        await harness.work(lambda tx: tx.advance(theirs, "evt_1"))
    assert (mine.position, (await harness.cursor("webhooks", tenant=other)).position) == (None, None)
