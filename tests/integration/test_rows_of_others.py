"""Rows that hand-written SQL made, or another application before storekit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from storekit import Entity, Mutable, Store, Unreadable, index
from storekit.bridge import settle
from tests.integration.evolving import TENANT, Evolving, copied
from tests.support.adapters import APIS, opened, repository


class Contract(
    Entity,
    Mutable,
    table="contracts",
    indexes=[index("fee"), index("score"), index("day"), index("-ends_on")],
):
    name: str
    ends_on: datetime | None = None
    day: date | None = None
    fee: Decimal | None = None
    score: float | None = None
    tags: list[str] | None = None
    counts: list[int] | None = None
    rates: list[float] | None = None
    extra: dict[str, Any] | None = None


REFUSED = {
    "ends_on = 'infinity'": "ends_on",
    "ends_on = '-infinity'": "ends_on",
    "ends_on = '10000-01-01 00:00+00'": "ends_on",
    "ends_on = '0044-03-15 12:00+00 BC'": "ends_on",
    "day = '20000-01-01'": "day",
    "day = 'infinity'": "day",
    "day = '0001-01-01 BC'": "day",
    "fee = 'NaN'": "fee",
    "fee = '-Infinity'": "fee",
    "score = 'Infinity'": "score",
    "score = 'NaN'": "score",
    "tags = ARRAY['a', NULL]": "tags",
    "tags = '{{a},{b}}'": "tags",
    "counts = ARRAY[1, NULL]": "counts",
    "rates = ARRAY['NaN'::float8]": "rates",
    "rates = '{1,-Infinity}'": "rates",
}
"""Changes that the database refuses, and their column."""
ACCEPTED = {
    "extra = '[1, 2]'": "extra",
    "extra = '{\"n\": 1e400}'": "extra",
    'extra = \'{"n": 1e400, "m": 1.5}\'': "extra",
    "extra = '{\"n\": -1e5000}'": "extra",
}
"""Changes that only the class can judge."""
STORABLE = {
    "ends_on = '0001-01-01 00:00+00', day = '0001-01-01'": ("day", date.min),
    "ends_on = '9999-12-31 23:59:59.999999+00', day = '9999-12-31'": ("day", date.max),
    "fee = 1e1000": ("fee", Decimal("1e1000")),
    "score = 1.7976931348623157e308": ("score", 1.7976931348623157e308),
    "tags = '{}', counts = '{}', rates = '{}'": ("tags", []),
    "extra = '{\"n\": 1e20}'": ("extra", {"n": 1e20}),
}


@pytest.fixture(scope="module")
def contracts(notes: Evolving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with the table of contracts."""
    with copied(notes, tmp_path_factory.mktemp("contracts") / "app") as copy:
        copy.follow(Contract)
        with Store.open(copy.settings) as store:
            yield store


@pytest.fixture(scope="module")
def legacy(notes: Evolving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evolving]:
    """A database whose table of contracts has rows of an application that did not use storekit."""
    with copied(notes, tmp_path_factory.mktemp("legacy") / "app") as copy:
        copy.follow(Contract)
        for column in set(REFUSED.values()):
            copy.database.ask(f"ALTER TABLE contracts DROP CONSTRAINT {column}_storable")
        yield copy


def write(store: Store, change: str, ref_id: str) -> None:
    """Change a row by hand-written SQL."""
    with store.scope(tenant=TENANT, actor="test").transaction() as tx:
        tx.connection.execute(f"UPDATE contracts SET {change} WHERE ref_id = %s", [ref_id])


@pytest.mark.parametrize("change", REFUSED)
def test_the_database_refuses_what_no_class_can_hold(contracts: Store, change: str) -> None:
    """Hand-written SQL cannot write infinity, NaN, a year beyond 9999 or NULL in an array."""
    made = repository(contracts, TENANT, Contract).save(Contract(name="a"))
    with pytest.raises(psycopg.errors.CheckViolation, match=f"{REFUSED[change]}_storable"):
        write(contracts, change, made.ref_id)


@pytest.mark.parametrize("change", STORABLE)
def test_the_database_accepts_what_a_class_can_hold(contracts: Store, change: str) -> None:
    """The first and last times of Python, large numbers and empty arrays can be written and read."""
    name, value = STORABLE[change]
    records = repository(contracts, TENANT, Contract)
    made = records.save(Contract(name="a"))
    write(contracts, change, made.ref_id)
    assert getattr(records.get(made.ref_id), name) == value


@pytest.mark.parametrize("api", APIS)
async def test_a_row_of_others_can_be_read_but_for_one_field(legacy: Evolving, api: str) -> None:
    """get, find and update return a row with a value that the class cannot hold; only its field raises."""
    changes = REFUSED | ACCEPTED
    async with opened(api, legacy.settings) as store:
        contracts = repository(store, TENANT, Contract)
        with Store.open(legacy.settings) as sync:
            made = {}
            for change in changes:
                made[change] = repository(sync, TENANT, Contract).save(Contract(name=change)).ref_id
                write(sync, change, made[change])
        page = await settle(contracts.find(limit=1000))
        found = {each.ref_id: each for each in page}
        for change, column in changes.items():
            ref_id = made[change]
            updated = await settle(contracts.update(ref_id, {"name": "updated"}))
            assert (updated.name, updated.version) == ("updated", 3)
            for record in (found[ref_id], await settle(contracts.get(ref_id)), updated):
                with pytest.raises(Unreadable) as raised:
                    getattr(record, column)
                error = raised.value
                assert (error.table, error.ref_id, error.field) == ("contracts", ref_id, column), change
            assert len(await settle(contracts.history(ref_id))) == 3


@pytest.mark.parametrize("order", ["fee", "score", "day", "-ends_on"])
def test_pages_go_past_values_that_no_class_can_hold(legacy: Evolving, order: str) -> None:
    """Pages of one record list every record, also in the order of a column that some rows have unreadable."""
    column = order.removeprefix("-")
    tenant = uuid4()
    with Store.open(legacy.settings) as store:
        scope = store.scope(tenant=tenant, actor="test")
        contracts = scope.repository(Contract)
        made = []
        for change in [each for each, name in REFUSED.items() if name == column] * 2:
            made.append(contracts.save(Contract(name=change)).ref_id)
            with scope.transaction() as tx:
                tx.connection.execute(f"UPDATE contracts SET {change} WHERE ref_id = %s", [made[-1]])
        made += [contracts.save(Contract(name="empty")).ref_id for _ in range(2)]
        seen, after = [], None
        while True:
            # Postgres does not use an index of numbers behind row-level security
            page = contracts.find(order_by=order, limit=1, after=after, unindexed=order == "fee")
            seen += [each.ref_id for each in page]
            after = page.next
            if after is None:
                break
        assert sorted(seen) == sorted(made)


def test_an_adopted_table_keeps_its_rows(legacy: Evolving) -> None:
    """manage adds the checks to a table with rows that violate them, and accepts no further ones."""
    with Store.open(legacy.settings) as store:
        contracts = repository(store, TENANT, Contract)
        bad, good = (contracts.save(Contract(name=name)).ref_id for name in ("bad", "good"))
        write(store, "fee = 'NaN'", bad)
        legacy.apply("SELECT storekit.manage('public.contracts');")
        try:
            assert contracts.get(bad).name == "bad"
            with pytest.raises(psycopg.errors.CheckViolation):
                write(store, "fee = 'NaN'", good)
            assert contracts.update(bad, {"fee": Decimal(1)}).fee == 1
        finally:
            for column in set(REFUSED.values()):
                legacy.database.ask(f"ALTER TABLE contracts DROP CONSTRAINT {column}_storable")
