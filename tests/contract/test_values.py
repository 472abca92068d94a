"""Every value through the real servers, in batches so that it stays fast."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from storekit import Repository, Store
from tests.support.entities import Everything, Report
from tests.support.harness import Harness
from tests.support.values import FIELDS, facts, records

BATCH = 40
slow = settings(
    max_examples=4,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # shrinking a batch would take minutes
    suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow, HealthCheck.large_base_example],
)


@pytest.fixture(scope="module")
def everything(embedded: Store) -> Repository[Everything]:
    return embedded.scope(tenant=uuid4(), actor="user:tester").repository(Everything)


@slow
@given(batch=st.lists(records, min_size=BATCH, max_size=BATCH))
def test_records_come_back_as_they_were(everything: Repository[Everything], batch: list[Everything]) -> None:
    """Every column and document type survives the three servers, exactly."""
    before = [facts(record) for record in batch]
    everything.save_many(batch)
    assert _changed(everything, batch, before) == []


@slow
@given(data=st.data())
@pytest.mark.parametrize("name", FIELDS)
def test_each_type_comes_back_as_it_was(
    everything: Repository[Everything], name: str, data: st.DataObject
) -> None:
    """Many values of one type, in one batch."""
    values = data.draw(st.lists(FIELDS[name], min_size=BATCH, max_size=BATCH))
    batch = [Everything(**{name: value}) for value in values]
    before = [facts(record) for record in batch]
    everything.save_many(batch)
    assert _changed(everything, batch, before) == []


async def test_the_largest_document_is_taken(harness: Harness) -> None:
    """A document just under 15 MB is saved and read back."""
    body = {"a": "x" * (15 * 1024 * 1024 - 100)}
    saved = await harness.repository(Report).save(Report(title="t", body=body))
    assert (await harness.repository(Report).get(saved.ref_id, load=["body"])).body == body


async def test_the_deepest_document_is_taken(harness: Harness) -> None:
    """64 levels are saved and read back, in a document and in a column."""
    deepest: dict[str, Any] = {}
    for _ in range(63):
        deepest = {"a": deepest}
    records = harness.repository(Everything)
    saved = await records.save(Everything(tree=deepest, doc=deepest))
    found = await records.get(saved.ref_id, load=["doc"])
    assert (found.tree, found.doc) == (deepest, deepest)


def _changed(
    everything: Repository[Everything], batch: list[Everything], before: list[dict[str, Any]]
) -> list[tuple[Any, Any]]:
    """List the values that came back otherwise, as they were and as they are."""
    after = [facts(everything.get(record.ref_id, load=["doc"])) for record in batch]
    pairs = [(one[name], other[name]) for one, other in zip(before, after, strict=True) for name in one]
    return [(one, other) for one, other in pairs if one != other]
