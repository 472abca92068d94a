"""Round trips: a value is read exactly as it was saved, or it is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storekit import Repository, ValidationError
from storekit.testing import memory_store
from tests.support.entities import Everything
from tests.support.values import FIELDS, comparable, records, trees

ANY: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(),
    "number": st.integers(-(2**65), 2**65),
    "real": st.floats(),
    "money": st.decimals(),
    "moment": st.datetimes(timezones=st.none() | st.timezones()),
    "day": st.dates(),
    "texts": st.lists(st.text(), max_size=3),
    "reals": st.lists(st.floats(), max_size=3),
    "tree": trees | st.dictionaries(st.text(), st.floats() | st.dates() | st.tuples(), max_size=2),
    "doc": st.dictionaries(st.text(), st.floats() | st.decimals() | st.text(), max_size=3),
}
many = settings(deadline=None, database=None)
some = settings(max_examples=20, deadline=None, database=None)


@pytest.fixture(scope="module")
def everything() -> Repository[Everything]:
    scope = memory_store(Everything).scope(tenant=uuid4(), actor="user:tester")
    return scope.repository(Everything)


@many
@given(record=records)
def test_a_record_is_read_as_it_was_saved(everything: Repository[Everything], record: Everything) -> None:
    """Every column and document type survives save and get exactly."""
    before = comparable(record)
    everything.save(record)
    assert comparable(everything.get(record.ref_id, load=["doc"])) == before


@some
@given(data=st.data())
@pytest.mark.parametrize("name", FIELDS)
def test_an_update_is_read_back(everything: Repository[Everything], name: str, data: st.DataObject) -> None:
    """A value that update wrote is read back, and None removes it."""
    value = data.draw(FIELDS[name])
    record = everything.save(Everything())
    everything.update(record.ref_id, {name: value})
    found = everything.get(record.ref_id, load=["doc"])
    assert comparable(found) == comparable(Everything(**{name: value}))
    everything.update(record.ref_id, {name: None})
    assert getattr(everything.get(record.ref_id), name) is None


@some
@given(data=st.data())
@pytest.mark.parametrize("name", ANY)
def test_a_value_that_would_change_is_refused(
    everything: Repository[Everything], name: str, data: st.DataObject
) -> None:
    """Any value of a field is either refused with its field or read back exactly."""
    record = Everything.model_construct(**{name: data.draw(ANY[name])})
    before = comparable(record)
    try:
        everything.save(record)
    except ValidationError as error:
        refused = error.field
    else:
        refused = None
    if refused is None:
        assert comparable(everything.get(record.ref_id, load=["doc"])) == before
    else:
        assert refused == name


def test_times_in_documents_have_milliseconds(everything: Repository[Everything]) -> None:
    """A document keeps UTC times in ms, and the saved object counts as unchanged."""
    moment = datetime(2026, 2, 3, 4, 5, 6, 789_999, tzinfo=UTC)
    record = everything.save(Everything(doc={"at": moment}))
    found = everything.get(record.ref_id, load=["doc"])
    assert found.doc == {"at": moment.replace(microsecond=789_000)}
    assert everything.save(record).version == 1
