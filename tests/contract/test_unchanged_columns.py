"""A record with values that hand-written SQL or another version of the class wrote is saved without them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, Field

from storekit import Entity, Mutable, Unreadable
from storekit.bridge import settle
from storekit.testing import Memory, memory_store
from tests.support.draft_models import Draft, Stamp
from tests.support.harness import Harness, steps, trips


async def _rewritten(harness: Harness, query: str) -> Draft:
    """Save a draft, and change its row by SQL."""
    saved: Draft = await harness.repository(Draft).save(Draft(name="x"))
    async with harness.unit() as tx:
        await settle((await settle(tx.connection)).execute(query))
    return saved


@pytest.mark.sql
async def test_a_value_that_a_factory_adds_on_loading_is_no_change(harness: Harness) -> None:
    """A field with a default factory that a stored model does not have is filled, and is no change."""
    drafts = harness.repository(Draft)
    saved = await _rewritten(harness, "UPDATE drafts SET layout = layout - 'id' - 'unit'")
    found = await drafts.get(saved.ref_id)
    version = found.version
    with steps() as seen:
        await drafts.save(found)
    assert not trips(seen)
    found.pages = 2
    await drafts.save(found)
    (row,) = await _rows(harness)
    assert sorted(row) == ["columns", "order"]
    found.layout.columns = 3
    await drafts.save(found)
    assert (await drafts.get(saved.ref_id)).layout == found.layout
    assert found.version == version + 2


async def _rows(harness: Harness) -> list[Any]:
    async with harness.unit() as tx:
        cursor = await settle((await settle(tx.connection)).execute("SELECT layout FROM drafts"))
        return [row[0] for row in await settle(cursor.fetchall())]


class Old(BaseModel):
    a: int


class New(Old):
    stamp: Stamp = Field(default_factory=Stamp)


@pytest.mark.parametrize("mixins", [(Mutable,), ()])
@pytest.mark.parametrize("frozen", [True, False])
def test_a_new_version_of_a_model_changes_no_record(mixins: tuple[type, ...], frozen: bool) -> None:
    """A class whose model got a field with a factory saves a record of the old class without a change."""

    def versions(model: Any) -> Any:
        fields = {"m": model, "n": int}
        values = {"__annotations__": fields, "n": 0, "m": Field(frozen=frozen)}
        return type("Row", (Entity, *mixins), {**values, "__module__": __name__}, table="rows")

    memory, tenant = Memory(), uuid4()
    old, new = versions(Old), versions(New)
    with memory_store(old, memory=memory) as before:
        ref_id = before.scope(tenant=tenant, actor="test").repository(old).save(old(m=Old(a=1))).ref_id
    with memory_store(new, memory=memory) as store:
        rows = store.scope(tenant=tenant, actor="test").repository(new)
        found = rows.get(ref_id)
        assert rows.save(found).version == 1
        if mixins:
            found.n = 1
            assert rows.save(found).version == 2
            assert rows.update(ref_id, {"n": 2}).version == 3


@pytest.mark.sql
async def test_a_value_that_is_nested_too_deep_is_unreadable(harness: Harness) -> None:
    """A column that is nested deeper than a save accepts raises Unreadable; the other fields can be saved."""
    drafts = harness.repository(Draft)
    deep = "jsonb_build_object('a', (repeat('[', 64) || repeat(']', 64))::jsonb)"
    saved = await _rewritten(harness, f"UPDATE drafts SET notes = {deep}")
    found = await drafts.get(saved.ref_id)
    with pytest.raises(Unreadable, match="nested deeper than 64 levels"):
        _ = found.notes
    found.pages = 2
    await drafts.save(found)
    (told,) = await drafts.upsert([Draft(name="x", pages=3)])
    assert (told.pages, (await drafts.update(saved.ref_id, {"pages": 4})).pages) == (3, 4)
    found = await drafts.update(saved.ref_id, {"notes": {"a": 1}})
    assert found.notes == {"a": 1}


@pytest.mark.sql
async def test_a_whole_number_with_a_fraction_of_zero_can_be_saved(harness: Harness) -> None:
    """A number such as 15000000000000000.0, which no save writes, is read as an int and is no change."""
    drafts = harness.repository(Draft)
    text = '{"a": [15000000000000000.0, 1.0, 1e20, -15000000000000000.0]}'
    saved = await _rewritten(harness, f"UPDATE drafts SET notes = '{text}'")
    found = await drafts.get(saved.ref_id)
    assert repr(found.notes["a"]) == "[15000000000000000, 1.0, 1e+20, -15000000000000000]"
    found.pages = 2
    await drafts.save(found)
    await drafts.upsert([Draft(name="x", pages=3)])
