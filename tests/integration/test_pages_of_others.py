"""Pages in the order of a column with values that only another version of the class can hold."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any
from uuid import uuid4

import pytest

from storekit import Entity, Mutable, Store, Unreadable, ValidationError, index, unique
from storekit.bridge import settle
from storekit.model.find.page_cursors import PageCursors
from storekit.testing import Memory, async_memory_store, memory_store
from tests.integration.evolving import Evolving, copied
from tests.integration.plans import Planner, indexes, recorded, rows_read
from tests.support.adapters import APIS, opened


def declared(kinds: list[str], text: Any) -> Any:
    """Return a version of one class."""
    make: Any = StrEnum
    Kind = make("Kind", [(each.upper(), each) for each in kinds])  # noqa: N806 it is a class

    class Parcel(
        Entity,
        Mutable,
        table="parcels",
        indexes=[index("label"), index("label", "shelf"), index("-label", "shelf"), unique("code")],
    ):
        kind: Kind  # type: ignore[valid-type]
        label: text
        shelf: text
        code: text

    return Parcel


Old, New = declared(["flat", "round"], str), declared(["flat", "long", "round", "huge"], str | None)
KINDS, TEXTS = ["flat", "long", "round", "huge"], ["a", None, "b", None]
LIMIT, BATCH = 20, 64
"""Records of a page, and the rows that an incremental sort reads at least or beyond its end."""
FILL = """
INSERT INTO parcels (kind, label, shelf, code)
SELECT 'flat', 'l' || lpad(i::text, 5, '0'), 's', 'c' || lpad(i::text, 5, '0') FROM generate_series(1, 2000) i
"""
ORDERS: list[Any] = [
    "kind",
    "-kind",
    "label",
    "-label",
    "code",
    "-code",
    ["label", "shelf"],
    ["-label", "-shelf"],
    ["-label", "shelf"],
    ["label", "-shelf"],
    ["kind", "-label", "code"],
]


@pytest.fixture(scope="module")
def parcels(notes: Evolving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evolving]:
    """A database that follows the new version of the class."""
    with copied(notes, tmp_path_factory.mktemp("parcels") / "app") as copy:
        copy.follow(New)
        yield copy


def made_by_new() -> list[Any]:
    """Return records with every combination of kinds, labels and shelves."""
    rows = [(kind, label, shelf) for kind in KINDS for label in TEXTS for shelf in TEXTS]
    return [
        New(kind=kind, label=label, shelf=shelf, code=None if n % 2 else f"{n:03}")
        for n, (kind, label, shelf) in enumerate(rows)
    ]


async def walked(parcels: Any, order: Any, limit: int) -> list[str]:
    """Read all pages in an order; return the ref_ids."""
    found: list[str] = []
    after = None
    while True:
        page = await settle(parcels.find(order_by=order, limit=limit, after=after, unindexed=True))
        found += [each.ref_id for each in page]
        after = page.next
        if after is None:
            return found


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("api", APIS)
async def test_pages_contain_every_record_once(parcels: Evolving, api: str, order: Any) -> None:
    """Pages list every record once, also if the class cannot hold the last value of a page or NULL."""
    tenant = uuid4()
    with Store.open(parcels.settings) as store:
        made = store.scope(tenant=tenant, actor="new").repository(New).save_many(made_by_new())
    async with opened(api, parcels.settings) as opened_store:
        old = opened_store.scope(tenant=tenant, actor="old").repository(Old)
        for limit in (1, 3):
            found = await walked(old, order, limit)
            assert sorted(found) == sorted(each.ref_id for each in made)
        page = await settle(old.find(order_by=order, limit=100, unindexed=True))
        assert [each.ref_id for each in page] == found


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("api", APIS)
async def test_pages_in_memory_contain_every_record_once(api: str, order: Any) -> None:
    """Pages of a memory store list every record once, also if the class cannot hold the last value of a
    page."""
    memory, tenant = Memory(), uuid4()
    new = memory_store(New, memory=memory).scope(tenant=tenant, actor="new").repository(New)
    made = new.save_many(made_by_new())
    make = memory_store if api == "sync" else async_memory_store
    old = make(Old, memory=memory).scope(tenant=tenant, actor="old").repository(Old)
    for limit in (1, 3):
        found = await walked(old, order, limit)
        assert sorted(found) == sorted(each.ref_id for each in made)


@pytest.mark.parametrize("leg", ["servers", "memory"])
def test_a_forged_value_is_not_a_cursor(parcels: Evolving, leg: str) -> None:
    """A cursor with a value that its column's type does not have raises ValidationError."""
    tenant = uuid4()
    with Store.open(parcels.settings) if leg == "servers" else memory_store(New) as store:
        scope = store.scope(tenant=tenant, actor="old")
        scope.repository(New).save_many(made_by_new()[:4])
        old = scope.repository(Old)
        page = old.find(order_by="kind", limit=1, unindexed=True)
        assert page.next
        seen: list[PageCursors] = []
        with pytest.MonkeyPatch.context() as patch:
            seal = PageCursors.seal

            def noted(self: PageCursors, row: Any) -> str:
                seen.append(self)
                return seal(self, row)

            patch.setattr(PageCursors, "seal", noted)
            old.find(order_by="kind", limit=1, unindexed=True)
        for value in ("invented", ""):
            forged = seen[0].seal({"kind": value, "ref_id": page[0].ref_id})
            with pytest.raises(ValidationError, match="after: it is not a cursor of this query"):
                old.find(order_by="kind", limit=1, unindexed=True, after=forged)


@pytest.mark.parametrize("order", ["code", "-code", "label", "-label"])
def test_a_page_reads_only_its_own_rows(
    parcels: Evolving, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page in the order of a unique index, or of a column that may hold NULL in another version of the
    class, reads a number of rows that does not grow with the table."""
    sent = recorded(monkeypatch)
    with Store.open(parcels.settings) as store, parcels.database.connect() as app:
        for tenant in (uuid4(), uuid4(), uuid4()):
            with app.transaction():
                app.execute("SELECT set_config('storekit.tenant', %s, true)", [str(tenant)])
                app.execute("SELECT set_config('storekit.actor', 'test', true)")
                app.execute(FILL)
        old, after = store.scope(tenant=tenant, actor="old").repository(Old), None
        for _ in range(10):
            after = old.find(order_by=order, limit=LIMIT, after=after).next
        planner = Planner(app)
        for composed in (sent[0], sent[-1]):
            plan = planner.plan(composed)
            assert all(name.startswith(f"parcels_{order.strip('-')}_") for name in indexes(plan, "parcels"))
            assert rows_read(plan, "parcels") <= 2 * (LIMIT + 1) + BATCH


def test_the_value_itself_still_raises(parcels: Evolving) -> None:
    """Reading a value of a page that the class cannot hold raises Unreadable."""
    with Store.open(parcels.settings) as store:
        scope = store.scope(tenant=uuid4(), actor="old")
        scope.repository(New).save(New(kind="huge", label=None, shelf=None, code=None))
        [found] = scope.repository(Old).find(order_by="label")
        for name in ("kind", "label"):
            with pytest.raises(Unreadable, match=name):
                getattr(found, name)
