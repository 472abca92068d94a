"""Pages of find: complete in every order, and stable while other records change."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from storekit import Page, UsageError, ValidationError, ge, in_, is_null
from tests.contract.leads import DUE, lead
from tests.support.entities import Call, Lead, Payload, Run, Stage
from tests.support.harness import Harness, steps, trips

SERVED: list[tuple[dict[str, Any], str | list[str] | None]] = [
    ({}, None),
    ({}, "ref_id"),
    ({}, "-ref_id"),
    ({}, "id"),
    ({}, "number"),
    ({}, "-number"),
    ({}, "created_on"),
    ({}, "-created_on"),
    ({}, ["-created_on", "-ref_id"]),
    ({}, "score"),
    ({}, "-score"),
    ({}, "due"),
    ({}, ["-due", "-ref_id"]),
    ({}, "team"),
    ({}, "-team"),
    ({}, ["team", "-due"]),
    ({}, ["-team", "due"]),
    ({}, ["team", "score"]),
    ({"team": "a"}, "due"),
    ({"team": "a"}, "-due"),
    ({"team": "a"}, ["team", "score"]),
    ({"team": in_("a")}, ["-score"]),
    ({"team": "b", "stage": "new"}, "score"),
    ({"due": is_null(False)}, "due"),
    ({"team": None}, "team"),
    ({"email": is_null(False)}, "email"),
    ({"email": ge("m")}, "-email"),
    ({"stage": "new", "due": ge(DUE)}, "-due"),
]
UNSERVED: list[tuple[dict[str, Any], Any]] = [
    ({}, "worth"),
    ({}, ["-stage", "worth"]),
    ({}, ["team", "-score"]),
    ({}, ["due", "-ref_id"]),
    ({}, "email"),
    ({}, ["score", "due", "team"]),
    ({"stage": "won"}, ("stage", "-updated_on")),
]


ONE_BY_ONE: list[Any] = [None, "due", ["team", "-due"]]


async def all_pages(repository: Any, **query: Any) -> list[Any]:
    """Return the records of all pages."""
    records: list[Any] = []
    after = None
    while True:
        page: Page[Any] = await repository.find(after=after, **query)
        assert len(page) <= query["limit"]
        records += page.items
        if page.next is None:
            return records
        assert len(page) == query["limit"]
        after = page.next


def is_sorted(records: Sequence[Any], order_by: str | Sequence[str] | None) -> bool:
    """Return whether records are sorted: NULL last if ascending, first if descending."""
    names = ("-ref_id",) if order_by is None else (order_by,) if isinstance(order_by, str) else order_by
    ordered = list(records)
    for name in reversed(names):
        bare = name.removeprefix("-")
        ordered.sort(key=lambda each: _place(getattr(each, bare)), reverse=name.startswith("-"))
    keys = [[getattr(each, name.removeprefix("-")) for name in names] for each in records]
    return keys == [[getattr(each, name.removeprefix("-")) for name in names] for each in ordered]


def _place(value: Any) -> tuple[bool, Any]:
    if isinstance(value, Stage):
        return False, list(Stage).index(value)
    return (True, 0) if value is None else (False, value)


async def test_pages_are_complete_in_every_order(harness: Harness) -> None:
    """The pages of an order contain each record once, sorted."""
    leads = harness.repository(Lead)
    await leads.save_many(map(lead, range(40)))
    for unindexed, queries in ((False, SERVED), (True, UNSERVED)):
        for where, order_by in queries:
            whole = await leads.find(where, order_by=order_by, limit=1000, unindexed=unindexed)
            assert is_sorted(whole.items, order_by), (where, order_by)
            assert (len(whole), whole.next) == (await leads.count(where), None)
            for limit in (1, 7) if order_by in ONE_BY_ONE else (7,):
                found = await all_pages(
                    leads, where=where, order_by=order_by, limit=limit, unindexed=unindexed
                )
                assert [each.number for each in found] == [each.number for each in whole], (where, order_by)


async def test_an_order_without_index_requires_unindexed(harness: Harness) -> None:
    """Without unindexed=True, an order that no index serves is refused with the index to declare."""
    leads = harness.repository(Lead)
    await leads.save_many(map(lead, range(4)))
    with steps() as seen:
        for where, order_by in UNSERVED:
            with pytest.raises(UsageError, match="unindexed=True"):
                await leads.find(where, order_by=order_by)
    assert not trips(seen)
    with pytest.raises(UsageError, match=r"declare indexes=\[index\('team', '-updated_on'\)\]"):
        await leads.find({"team": "a"}, order_by="-updated_on")
    with pytest.raises(UsageError, match=r"index\('stage', '-updated_on'\)"):
        await leads.find({"stage": "won"}, order_by="-updated_on")
    with pytest.raises(UsageError, match="does not compare numeric .worth. in an index"):
        await leads.find(order_by="worth")


async def test_a_partial_index_serves_filters_that_imply_its_condition(harness: Harness) -> None:
    """A partial index serves an order if the filters select only records that it contains."""
    leads = harness.repository(Lead)
    await leads.save_many(map(lead, range(12)))
    by_due = await leads.find({"stage": "new"}, order_by="-due")
    assert is_sorted(by_due.items, ["-due", "-ref_id"])
    # with deleted records another index serves the order, which sorts ref_id in the other direction
    assert is_sorted((await leads.find({"stage": "new"}, order_by="-due", deleted=True)).items, "-due")


async def test_any_order_is_allowed_for_at_most_one_record(harness: Harness) -> None:
    """If the filters fix a unique key, every order is allowed, and the page is the last one."""
    leads = harness.repository(Lead)
    await leads.save_many(map(lead, range(4)))
    for order_by in (None, "worth", ["-stage", "email"], "number"):
        page = await leads.find({"number": "002"}, order_by=order_by, limit=1)
        assert ([each.number for each in page], page.next) == (["002"], None)


async def test_an_invalid_order_is_refused(harness: Harness) -> None:
    """An unknown column, a part, an array and a duplicate column are refused as an order."""
    leads, calls = harness.repository(Lead), harness.repository(Call)
    orders: tuple[Any, ...] = (
        "nmae", "--score", "-", "", "tenant_id", "notes", [], {}, 1, ["score", 1], [["score"]],
        ["score", "-score"], "score DESC", {"score"},
    )  # fmt: skip
    with steps() as seen:
        for order_by in orders:
            with pytest.raises(ValidationError, match="order_by: "):
                await leads.find(order_by=order_by, unindexed=True)
        for order_by, why in (
            ("-nmae", "'nmae' is not a column; Lead has id, "),
            ("notes", "'notes' is a doc"),
        ):
            with pytest.raises(ValidationError, match=f"order_by: {why}"):
                await leads.find(order_by=order_by)
        for order_by in ("tags", "meta"):
            with pytest.raises(ValidationError, match="has no order"):
                await calls.find(order_by=order_by, unindexed=True)
    assert not trips(seen)


@pytest.mark.parametrize("order_by", [None, ["team", "-due"], "worth"])
async def test_pages_are_stable_while_other_records_change(harness: Harness, order_by: Any) -> None:
    """Unchanged records appear once and in order while others are inserted, updated and deleted."""
    leads = harness.repository(Lead)
    saved = await leads.save_many(map(lead, range(30)))
    staying = {each.ref_id for i, each in enumerate(saved) if i % 3}
    moving = [each for i, each in enumerate(saved) if not i % 3]
    seen, after, number = [], None, 100
    while True:
        page = await leads.find(order_by=order_by, limit=4, after=after, unindexed=True)
        seen += [each.ref_id for each in page]
        if page.next is None:
            break
        after = page.next
        await leads.save_many(map(lead, range(number, number + 2)))
        number += 2
        one, other = moving[number % len(moving)], moving[-number % len(moving)]
        await leads.update(one.ref_id, {"score": number, "team": None, "due": None, "worth": Decimal(number)})
        if not (await leads.get(other.ref_id)).deleted_on and number < 108 and other is not one:
            await leads.delete(other.ref_id)
            moving.remove(other)
        # the last record of the page changes too: the cursor keeps its former position
        if page[-1].ref_id in {each.ref_id for each in moving}:
            await leads.update(page[-1].ref_id, {"due": None, "score": -1})
    assert staying <= set(seen)
    assert [each for each in seen if each in staying] == [
        each.ref_id
        for each in (await leads.find(order_by=order_by, limit=1000, unindexed=True))
        if each.ref_id in staying
    ]


async def test_documents_of_a_page_are_loaded_in_one_wave(harness: Harness) -> None:
    """`load` reads the documents of all records of a page in one trip for each collection."""
    leads = harness.repository(Lead)
    await leads.save_many([Lead(number=str(i), notes={"n": i}, letter={"l": i}) for i in range(5)])
    with steps() as seen:
        page = await leads.find(order_by="number", load=["notes", "letter"])
    assert trips(seen) == {"postgres.select": 1, "mongo.fetch": 2}
    assert [(each.notes, each.letter) for each in page] == [({"n": i}, {"l": i}) for i in range(5)]
    run = await harness.run()
    calls = harness.repository(Call)
    await calls.save_many([Call(run_id=run.id, name=n, payload=Payload(q=n)) for n in "ab"])
    assert {each.payload.q for each in await calls.find(load=["payload"])} == {"a", "b"}
    with steps() as seen:
        assert "payload" not in (await calls.find())[0].model_dump()
    assert trips(seen) == {"postgres.select": 1}


async def test_a_page_is_a_sequence_of_its_records(harness: Harness) -> None:
    """A page has a length, indexes and iteration; an empty page is false."""
    runs = harness.repository(Run)
    empty = await runs.find()
    assert (len(empty), bool(empty), list(empty), empty.next) == (0, False, [], None)
    saved = await runs.save_many([Run(name=n) for n in "abc"])
    page = await runs.find(order_by="ref_id", limit=2)
    by_ref_id = sorted(each.ref_id for each in saved)
    assert ([each.ref_id for each in page], page[1].ref_id, page[-1].ref_id) == (
        by_ref_id[:2],
        by_ref_id[1],
        by_ref_id[1],
    )
    last = await runs.find(order_by="ref_id", limit=2, after=page.next)
    assert ([each.ref_id for each in last], last.next) == (by_ref_id[2:], None)
    exact = await runs.find(order_by="ref_id", limit=1, after=page.next)
    assert exact.next is None
