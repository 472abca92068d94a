"""Random values saved to and read from the real servers, in batches to save time."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from storekit import Repository, Store
from tests.support.entities import Everything, Report
from tests.support.harness import Harness
from tests.support.value_checks import Tally, check, generated
from tests.support.value_models import Valued
from tests.support.values import FIELDS, comparable, records

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
def test_records_are_read_as_they_were_saved(
    everything: Repository[Everything], batch: list[Everything]
) -> None:
    """Every column and document type is read from the servers exactly as it was saved."""
    before = [comparable(record) for record in batch]
    everything.save_many(batch)
    assert _changed(everything, batch, before) == []


@slow
@given(data=st.data())
@pytest.mark.parametrize("name", FIELDS)
def test_values_of_each_type_are_read_as_they_were_saved(
    everything: Repository[Everything], name: str, data: st.DataObject
) -> None:
    """Many values of one type, saved in one batch, are read exactly."""
    values = data.draw(st.lists(FIELDS[name], min_size=BATCH, max_size=BATCH))
    batch = [Everything(**{name: value}) for value in values]
    before = [comparable(record) for record in batch]
    everything.save_many(batch)
    assert _changed(everything, batch, before) == []


@pytest.mark.sql
async def test_generated_values_are_read_as_they_were_saved_or_refused(harness: Harness) -> None:
    """On servers too, every way of writing keeps value and class at every depth, or sends nothing."""
    await check(harness.repository(Valued), generated(50), Tally())


async def test_the_largest_document_can_be_saved(harness: Harness) -> None:
    """A document of just under 15 MB is saved and read."""
    body = {"a": "x" * (15 * 1024 * 1024 - 100)}
    saved = await harness.repository(Report).save(Report(title="t", body=body))
    assert (await harness.repository(Report).get(saved.ref_id, load=["body"])).body == body


async def test_the_deepest_document_can_be_saved(harness: Harness) -> None:
    """64 levels are saved and read, in a document and in a column."""
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
    """Return the values that differ, as they were saved and as they were read."""
    after = [comparable(everything.get(record.ref_id, load=["doc"])) for record in batch]
    pairs = [(one[name], other[name]) for one, other in zip(before, after, strict=True) for name in one]
    return [(one, other) for one, other in pairs if one != other]
