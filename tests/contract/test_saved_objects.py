"""Objects that were not built by the constructor, or that lack a value, are refused alike on every store."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from storekit import ValidationError
from tests.support.draft_models import Draft
from tests.support.entities import Everything, Report, Run
from tests.support.harness import Harness, steps, trips


async def test_an_object_without_a_value_is_refused(harness: Harness) -> None:
    """A column that an object does not have raises ValidationError in save and upsert; nothing is sent."""
    runs, drafts, drafted = harness.repository(Run), harness.repository(Draft), Draft(name="x")
    loaded = await runs.get((await runs.save(Run(name="a"))).ref_id)
    del loaded.name
    del drafted.pages
    saved = await drafts.save(Draft(name="x"))
    with steps() as seen:
        for record in (Run.model_construct(score=1), loaded):
            with pytest.raises(ValidationError, match=r"Run\.name: the object has no value"):
                await runs.save(record)
        with pytest.raises(ValidationError, match=r"Draft\.pages: the object has no value"):
            await drafts.save(drafted)
        unnamed = Draft()
        del unnamed.name
        with pytest.raises(ValidationError, match=r"Draft\.name: the object has no value"):
            await drafts.upsert([unnamed])
    assert not trips(seen)
    given = Draft(name="x", pages=2, tags=["a"], body={"a": 1})
    del given.tags, given.body
    for name in ("body", "tags"):
        with pytest.raises(ValidationError, match=rf"Draft\.{name}: the object has no value"):
            await drafts.upsert([given])
        setattr(given, name, {"a": 2} if name == "body" else ["b"])
    assert (await drafts.get(saved.ref_id)).version == 1


async def test_a_new_object_without_a_part_is_refused_if_the_part_is_required(harness: Harness) -> None:
    """A new object needs a value for each document; one that may be None is empty."""
    drafts, reports, run = harness.repository(Draft), harness.repository(Report), await harness.run()
    draft = Draft(name="x")
    del draft.body
    with pytest.raises(ValidationError, match=r"Draft\.body: the object has no value"):
        await drafts.save(draft)
    report = Report.model_construct(run_id=run.id, title="t")
    del report.body
    saved = await reports.save(report)
    assert (await reports.get(saved.ref_id, load=["body"])).body is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("ref_id", "zzz"), ("ref_id", "x" * 3000), ("ref_id", 5), ("id", "no uuid"), ("id", None)],
)
async def test_ids_of_another_form_are_refused(harness: Harness, field: str, value: Any) -> None:
    """A ref_id that is not a ULID and an id that is not a UUID are refused, and nothing is sent."""
    runs, given = harness.repository(Run), {"name": "a", field: value}
    drafts = harness.repository(Draft)
    with steps() as seen:
        with pytest.raises(ValidationError, match=rf"Run\.{field}: it must be a "):
            await runs.save(Run.model_construct(**given))
        with pytest.raises(ValidationError, match=rf"Run\.{field}: it must be a "):
            await runs.save_many([Run.model_construct(**given), Run(name="b")])
    assert not trips(seen)
    with pytest.raises(ValidationError, match=rf"Draft\.{field}: it must be a "):
        await drafts.upsert([Draft.model_construct(**given)])


NUMBERS = {
    "1E+3": "1000",
    "-0.0": "0.0",
    "0E+3": "0",
    "-0": "0",
    "1.50E+2": "150",
    "12E-3": "0.012",
    "0E-5": "0.00000",
    "-1E+20": "-100000000000000000000",
    "1E+131071": f"1{131071 * '0'}",
}


@pytest.mark.parametrize(("text", "digits"), NUMBERS.items())
async def test_a_decimal_is_read_with_the_digits_of_postgres(
    harness: Harness, text: str, digits: str
) -> None:
    """A Decimal is read as equal, without exponent; saving and upserting it again changes nothing."""
    drafts, number = harness.repository(Draft), Decimal(text)
    (first,) = await drafts.upsert([Draft(name="x", price=number)])
    for _ in range(2):
        (told,) = await drafts.upsert([Draft(name="x", price=number)])
        found = await drafts.get(first.ref_id)
        assert (told.version, found.version, found.price == number) == (1, 1, True)
        assert str(found.price) == digits
        assert (await drafts.save(found)).version == 1
    assert (await drafts.update(first.ref_id, {"price": number})).price == number
    (found,) = await drafts.find({"price": number})
    page = await drafts.find(order_by="price", unindexed=True, limit=1)
    assert page[0].ref_id == found.ref_id
    records = harness.repository(Everything)
    saved = await records.save(Everything(money=number), idempotency_key="k")
    again = await records.save(Everything(money=Decimal(format(number, "f"))), idempotency_key="k")
    assert saved.ref_id == again.ref_id
