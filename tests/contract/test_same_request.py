"""Which requests are the same under one idempotency key, and which fields an upsert was given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from storekit import IdempotencyConflict
from storekit.bridge import settle
from tests.support.draft_models import Draft, Hue, Layout, Sealed, Signed, Stamp, Stamps
from tests.support.entities import Run
from tests.support.harness import Harness


def _tagged(draft: Draft) -> None:
    draft.tags.append("a")


def _noted(draft: Draft) -> None:
    draft.notes["a"] = 1


def _turned(draft: Draft) -> None:
    draft.layout.columns = 7


def _sorted(draft: Draft) -> None:
    draft.layout.order.append("a")


def _documented(draft: Draft) -> None:
    draft.body["a"] = 1


EDITS: list[Callable[[Draft], None]] = [_tagged, _noted, _turned, _sorted, _documented]


@pytest.mark.parametrize("edit", EDITS)
async def test_what_is_put_into_a_default_is_part_of_the_request(
    harness: Harness, edit: Callable[[Draft], None]
) -> None:
    """An edit in place of a list, dict or model that a default or a factory made is another request."""
    drafts, edited = harness.repository(Draft), Draft(name="x")
    await drafts.save(Draft(name="x"), idempotency_key="k")
    edit(edited)
    with pytest.raises(IdempotencyConflict):
        await drafts.save(edited, idempotency_key="k")
    await harness.work(lambda tx: tx.save(Draft(name="y")), idempotency_key="unit")
    edited = Draft(name="y")
    edit(edited)
    with pytest.raises(IdempotencyConflict):
        await harness.work(lambda tx: tx.save(edited), idempotency_key="unit")


@pytest.mark.parametrize("edit", EDITS)
async def test_the_same_edit_is_the_same_request(harness: Harness, edit: Callable[[Draft], None]) -> None:
    """Two objects with the same edit in place are one request."""
    drafts, made = harness.repository(Draft), [Draft(name="x"), Draft(name="x")]
    for each in made:
        edit(each)
    first, second = [await drafts.save(each, idempotency_key="k") for each in made]
    assert first.ref_id == second.ref_id


FULL: dict[str, Any] = {
    "name": "x",
    "tags": [],
    "notes": {},
    "pages": 1,
    "layout": {"columns": 2, "order": []},
}


async def test_a_default_that_is_passed_is_the_same_request(harness: Harness) -> None:
    """An object built from its complete JSON is the same request as one built from the values that differ."""
    drafts = harness.repository(Draft)
    first = await drafts.save(Draft(name="x"), idempotency_key="k")
    for given in (FULL, {**FULL, "price": "0.00", "due": "2026-01-01"}, {"name": "x", "pages": 1}):
        again = await drafts.save(Draft.model_validate(given), idempotency_key="k")
        assert again.ref_id == first.ref_id
    for other in ({"pages": 2}, {"price": Decimal("0.0")}, {"due": date(2026, 1, 2)}, {"notes": {"a": None}}):
        with pytest.raises(IdempotencyConflict):
            await drafts.save(Draft(name="x", **other), idempotency_key="k")
    runs = harness.repository(Run)
    first = await runs.save(Run(name="x", score=0), idempotency_key="other order")
    assert (await runs.save(Run(name="x"), idempotency_key="other order")).ref_id == first.ref_id


@pytest.mark.parametrize("edit", EDITS)
async def test_an_upsert_writes_what_was_put_into_a_default(
    harness: Harness, edit: Callable[[Draft], None]
) -> None:
    """A default that was edited in place counts as passed, so an upsert of a known key writes it too."""
    drafts, edited = harness.repository(Draft), Draft(name="x")
    await drafts.save(Draft(name="x", pages=5))
    edit(edited)
    (told,) = await drafts.upsert([edited])
    found = await drafts.get(told.ref_id, load=["body"])
    assert (found.version, found.pages) == (2, 5)
    want = Draft(name="x")
    edit(want)
    same = ("tags", "notes", "body")
    assert [getattr(found, name) for name in same] == [getattr(want, name) for name in same]
    assert (found.layout.columns, found.layout.order) == (want.layout.columns, want.layout.order)


NESTED: list[Callable[[Stamp], dict[str, Any]]] = [
    lambda stamp: {"by_hue": {Hue.RED: stamp}},
    lambda stamp: {"by_flag": {True: stamp, False: stamp}},
    lambda stamp: {"by_time": {datetime(2026, 1, 1, tzinfo=UTC): stamp}},
    lambda stamp: {"queue": deque([stamp, stamp])},
    lambda stamp: {"sealed": Sealed(stamp)},
    lambda stamp: {"signed": Signed.model_validate({"name": stamp})},
]


@pytest.mark.parametrize("nested", NESTED)
async def test_generated_values_in_any_container_are_not_part_of_the_request(
    harness: Harness, nested: Callable[[Stamp], dict[str, Any]]
) -> None:
    """A retry whose nested models have other generated values is the same request; other values are not."""
    drafts = harness.repository(Draft)
    first, second = [
        await drafts.save(Draft(stamps=Stamps(**nested(Stamp(by="a")))), idempotency_key="k") for _ in "ab"
    ]
    assert first.ref_id == second.ref_id
    for other in (Stamp(by="b"), Stamp(by="a", id=UUID(int=1))):
        with pytest.raises(IdempotencyConflict):
            await drafts.save(Draft(stamps=Stamps(**nested(other))), idempotency_key="k")


async def test_an_upsert_leaves_untouched_defaults_alone(harness: Harness) -> None:
    """Defaults that nobody passed or edited do not replace stored values."""
    drafts = harness.repository(Draft)
    saved = await drafts.save(
        Draft(name="x", tags=["a"], notes={"a": 1}, layout=Layout(columns=9), body={"a": 1})
    )
    await drafts.upsert([Draft(name="x", pages=2)])
    found = await drafts.get(saved.ref_id, load=["body"])
    assert (found.pages, found.tags, found.notes, found.layout, found.body) == (
        2,
        ["a"],
        {"a": 1},
        saved.layout,
        {"a": 1},
    )


@pytest.mark.sql
async def test_an_upsert_stores_generated_values(harness: Harness) -> None:
    """An upsert that writes another field leaves the generated values in a column that it was given."""
    drafts = harness.repository(Draft)
    saved = await drafts.save(Draft(name="x", layout=Layout(columns=3)))
    (told,) = await drafts.upsert([Draft(name="x", layout=Layout(columns=3, id=saved.layout.id), pages=2)])
    async with harness.unit() as tx:
        connection = await settle(tx.connection)
        rows = await settle((await settle(connection.execute("SELECT layout FROM drafts"))).fetchall())
    assert [sorted(row[0]) for row in rows] == [["columns", "id", "order", "unit"]]
    assert told.version == 2
