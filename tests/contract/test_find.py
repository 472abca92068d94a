"""find and count: every filter, on every leg."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from storekit import (
    between,
    contains,
    ge,
    gt,
    has_key,
    in_,
    is_null,
    json_path,
    le,
    lt,
    prefix,
)
from tests.support.entities import Address, Call, Customer, Everything, Lead, Run, Stage, Status, Tariff
from tests.support.harness import Harness, steps, trips

UID = UUID(int=7)
MOMENT = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
ROWS: dict[str, dict[str, Any]] = {
    "empty": {},
    "zero": {
        "text": "", "number": 0, "real": 0.0, "money": Decimal(0), "flag": False, "uid": UUID(int=0),
        "moment": MOMENT - timedelta(days=1), "day": date(2026, 2, 28), "status": Status.RUNNING, "texts": [],
        "numbers": [], "reals": [], "tree": {}, "address": Address(street=""),
    },
    "one": {
        "text": "a", "number": 1, "real": 1.5, "money": Decimal("1.50"), "flag": True, "uid": UID,
        "moment": MOMENT, "day": date(2026, 3, 1), "status": Status.DONE, "texts": ["x", "y"],
        "numbers": [1, 2], "reals": [0.5], "tree": {"a": {"b": 1, "c": None}, "t": True},
        "address": Address(street="High", floors={"a": 1}),
    },
    "odd": {
        "text": "a%_\\'\"é\U0001d54f", "number": -(2**63), "real": -1e300, "money": Decimal("1E+3"),
        "moment": MOMENT + timedelta(microseconds=1), "day": date.max,
        "texts": ['a"b', "c\\d", "{e,f}", "NULL", ""], "numbers": [2**63 - 1], "reals": [-0.0, 1e-300],
        "tree": {"a": [1], "b": "x", "$ne": 1, "t": 1},
    },
}  # fmt: skip
FOUND: list[tuple[dict[str, Any], str]] = [
    ({}, "empty zero one odd"),
    ({"text": "a"}, "one"),
    ({"text": ""}, "zero"),
    ({"text": None}, "empty"),
    ({"text": is_null()}, "empty"),
    ({"text": is_null(False)}, "zero one odd"),
    ({"text": prefix("a")}, "one odd"),
    ({"text": prefix("a%")}, "odd"),
    ({"text": prefix("a%_\\'\"é\U0001d54f")}, "odd"),
    ({"text": prefix("")}, "zero one odd"),
    ({"text": gt("a")}, "odd"),
    ({"text": in_("a", "", "b")}, "zero one"),
    ({"text": in_()}, ""),
    ({"text": in_("a%_\\'\"é\U0001d54f")}, "odd"),
    ({"number": 1}, "one"),
    ({"number": -(2**63)}, "odd"),
    ({"number": lt(1)}, "zero odd"),
    ({"number": le(1)}, "zero one odd"),
    ({"number": gt(0)}, "one"),
    ({"number": ge(0)}, "zero one"),
    ({"number": between(0, 1)}, "zero one"),
    ({"number": between(1, 0)}, ""),
    ({"number": ge(0) & lt(1)}, "zero"),
    ({"number": gt(-5) & is_null(False) & in_(0, 1, 2) & lt(1)}, "zero"),
    ({"real": 1.5}, "one"),
    ({"real": -0.0}, "zero"),
    ({"real": lt(0)}, "odd"),
    ({"money": Decimal("1.5")}, "one"),
    ({"money": in_(Decimal("1000.0"), Decimal("0.00"))}, "zero odd"),
    ({"money": gt(Decimal("1.50"))}, "odd"),
    ({"flag": True}, "one"),
    ({"flag": False}, "zero"),
    ({"flag": lt(True)}, "zero"),
    ({"uid": UID}, "one"),
    ({"uid": lt(UID)}, "zero"),
    ({"moment": MOMENT}, "one"),
    ({"moment": MOMENT.astimezone(None)}, "one"),
    ({"moment": gt(MOMENT)}, "odd"),
    ({"moment": between(MOMENT, MOMENT + timedelta(microseconds=1))}, "one odd"),
    ({"day": date(2026, 3, 1)}, "one"),
    ({"day": ge(date(2026, 3, 1))}, "one odd"),
    ({"status": Status.DONE}, "one"),
    ({"status": "done"}, "one"),
    ({"status": in_("done", Status.RUNNING)}, "zero one"),
    ({"status": gt(Status.RUNNING)}, "one"),
    ({"texts": ["x", "y"]}, "one"),
    ({"texts": ["y", "x"]}, ""),
    ({"texts": []}, "zero"),
    ({"texts": ['a"b', "c\\d", "{e,f}", "NULL", ""]}, "odd"),
    ({"texts": contains("y")}, "one"),
    ({"texts": contains('a"b', "", "NULL")}, "odd"),
    ({"texts": contains("{e,f}", "c\\d")}, "odd"),
    ({"texts": contains()}, "zero one odd"),
    ({"texts": contains("e")}, ""),
    ({"numbers": contains(2)}, "one"),
    ({"numbers": [2**63 - 1]}, "odd"),
    ({"reals": contains(0.0)}, "odd"),
    ({"reals": [0, 1e-300]}, "odd"),
    ({"tree": {}}, "zero"),
    ({"tree": {"t": True, "a": {"c": None, "b": 1.0}}}, "one"),
    ({"tree": {"t": 1, "a": {"c": None, "b": 1}}}, ""),
    ({"tree": json_path("a.b", 1)}, "one"),
    ({"tree": json_path("a.c", None)}, "one"),
    ({"tree": json_path("a.d", None)}, ""),
    ({"tree": json_path("a.0", 1)}, ""),
    ({"tree": json_path("a", [1])}, "odd"),
    ({"tree": json_path("t", True)}, "one"),
    ({"tree": json_path("t", 1)}, "odd"),
    ({"tree": json_path("b", "x")}, "odd"),
    ({"tree": has_key("a")}, "one odd"),
    ({"tree": has_key("$ne")}, "odd"),
    ({"tree": is_null()}, "empty"),
    ({"address": Address(street="High", floors={"a": 1})}, "one"),
    ({"address": {"street": "High", "floors": {"a": 1}}}, "one"),
    ({"address": json_path("floors.a", 1)}, "one"),
    ({"address": has_key("street")}, "zero one"),
    ({"number": ge(0), "flag": True, "text": prefix("a")}, "one"),
    ({"version": 1}, "empty zero one odd"),
    ({"version": gt(1)}, ""),
    ({"created_by": "user:tester"}, "empty zero one odd"),
    ({"created_by": prefix("user:x")}, ""),
    ({"created_on": gt(datetime(2000, 1, 1, tzinfo=UTC)), "updated_on": None}, "empty zero one odd"),
]


async def test_a_filter_finds_the_records_that_match(harness: Harness) -> None:
    """find returns the records that match a filter, newest first; count returns their number."""
    everything = harness.repository(Everything)
    saved = {name: await everything.save(Everything(**values)) for name, values in ROWS.items()}
    names = {record.ref_id: name for name, record in saved.items()}
    for where, expected in FOUND:
        page = await everything.find(where)
        assert {names[record.ref_id] for record in page} == {*expected.split()}, where
        assert [each.ref_id for each in page] == sorted((each.ref_id for each in page), reverse=True)
        assert await everything.count(where) == len(page) == len(expected.split()), where
    for name in ROWS:
        for where in ({"id": saved[name].id}, {"ref_id": saved[name].ref_id}):
            assert [each.ref_id for each in await everything.find(where)] == [saved[name].ref_id]


async def test_a_found_record_equals_that_of_get(harness: Harness) -> None:
    """A found record equals the one that get returns, and can be changed and saved."""
    call = await harness.call(tags=["x"], meta={"a": 1})
    calls = harness.repository(Call)
    (found,) = await calls.find({"tags": contains("x")})
    assert found == await calls.get(call.ref_id)
    found.name = "changed"
    assert (await calls.save(found)).version == 2


async def test_find_and_count_are_one_trip_each(harness: Harness) -> None:
    """find and count each make one trip to Postgres."""
    call = await harness.call()
    with steps() as seen:
        await harness.repository(Call).find({"run_id": call.run_id, "name": "search"}, limit=1)
    assert trips(seen) == {"postgres.select": 1}
    with steps() as seen:
        assert await harness.repository(Call).count({"name": "search"}) == 1
    assert trips(seen) == {"postgres.select": 1}


async def test_another_tenants_records_are_not_found(harness: Harness) -> None:
    """find and count never return the records of another tenant."""
    await harness.call()
    others = harness.repository(Call, tenant=uuid4())
    assert (await others.find()).items == ()
    assert await others.count() == 0


async def test_deleted_records_are_hidden(harness: Harness) -> None:
    """Soft-deleted records are found and counted only with deleted=True; restored ones always."""
    call, calls = await harness.call(), harness.repository(Call)
    await calls.delete(call.ref_id)
    assert ((await calls.find()).items, await calls.count()) == ((), 0)
    (found,) = await calls.find({"deleted_on": is_null(False)}, deleted=True)
    assert (found.ref_id, await calls.count(deleted=True)) == (call.ref_id, 1)
    await calls.restore(call.ref_id)
    assert (len(await calls.find()), await calls.count()) == (1, 1)


async def test_children_are_found_by_the_parents_ref_id(harness: Harness) -> None:
    """A parent's ref_id finds its children in the same trip; a foreign or deleted parent has none."""
    leads, run = harness.repository(Lead), await harness.run()
    one, two = await leads.save_many([Lead(number=n, run_id=run.id) for n in "12"])
    child = await leads.save(Lead(number="3", lead_id=one.id))
    with steps() as seen:
        assert {each.number for each in await leads.find({"run.ref_id": run.ref_id})} == {"1", "2"}
    assert trips(seen) == {"postgres.select": 1}
    assert await leads.count({"run.ref_id": run.ref_id, "number": "2"}) == 1
    assert [each.ref_id for each in await leads.find({"lead.ref_id": one.ref_id})] == [child.ref_id]
    assert await leads.count({"lead.ref_id": two.ref_id}) == 0
    foreign = await harness.repository(Run, tenant=uuid4()).save(Run(name="foreign"))
    assert await leads.count({"run.ref_id": foreign.ref_id}) == 0
    await leads.delete(one.ref_id)
    assert await leads.count({"lead.ref_id": one.ref_id}) == 0


async def test_children_of_a_global_parent_are_found(harness: Harness) -> None:
    """The ref_id of a global parent finds the children of this tenant."""
    tariffs = harness.store.admin(actor="user:admin").repository(Tariff)
    saved = tariffs.save(Tariff(name="basic"))
    tariff = await saved if hasattr(saved, "__await__") else saved
    customer = Customer(name="Jane", tariff_id=tariff.id)
    customers = harness.repository(Customer, tenant=customer.id)
    await customers.save(customer)
    assert [each.name for each in await customers.find({"tariff.ref_id": tariff.ref_id})] == ["Jane"]


async def test_in_takes_ten_thousand_values(harness: Harness) -> None:
    """in_ takes 10,000 values, of an enum column too."""
    leads = harness.repository(Lead)
    await leads.save_many([Lead(number=str(i), score=i, stage=Stage.WON) for i in range(3)])
    assert await leads.count({"score": in_(*range(1, 10_001))}) == 2
    assert await leads.count({"stage": in_(*["lost", "won"] * 5_000)}) == 3
