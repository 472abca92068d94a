"""Orders and the indexes that serve them, and page cursors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storekit import Entity, Mutable, UsageError, ValidationError, ge, in_, index, is_null, lt, not_null
from storekit.model.find.orders import order_of
from storekit.model.find.page_cursors import PageCursors
from storekit.model.find.query import conditions_of
from storekit.model.values.codec import comparable, encode_column
from storekit.ports.statements import Sort
from storekit.testing import memory_store
from tests.support.entities import ENTITIES, Everything, Lead, Stage
from tests.support.values import FIELDS

TENANT = UUID(int=1)
SCALARS = [name for name, column in Everything.storekit_table.columns.items() if column.ordered]


class Task(
    Entity,
    Mutable,
    table="tasks",
    natural_key=("team", "number"),
    indexes=[
        index("team", "-due", "size"),
        index("size", "-ref_id", "team"),
        index("-due", where={"done": False}),
        index("size", where={"due": not_null, "team": ["a", "b"]}),
        index("stage", "-size"),
        index("-number", where={"stage": [Stage.NEW, Stage.WON]}),
    ],
):
    team: str
    number: int
    size: int = 0
    done: bool = False
    due: datetime | None = None
    stage: Stage = Stage.NEW


def described(where: dict[str, Any], order_by: Any = None) -> str:
    """Return the order as a text. Columns that may be NULL in a table of any version have a question mark."""
    found = order_of(Task, order_by, conditions_of(Task, where, deleted=False))
    assert found.indexed
    return " ".join(
        f"{'-' if each.descending else ''}{each.column}{'?' if each.nullable else ''}"
        for each in found.columns
    )


@pytest.mark.parametrize(
    ("where", "order_by", "expected"),
    [
        ({}, None, "-ref_id"),
        ({"team": "a"}, None, "number"),
        ({"done": False}, None, "-due? -ref_id"),
        ({"done": True}, None, "-ref_id"),
        ({"size": 1}, None, "-ref_id team"),
        ({"team": in_("a", "b")}, None, "-ref_id"),
        ({}, "ref_id", "ref_id"),
        ({}, "id", "id"),
        ({}, ["team", "number"], "team number"),
        ({}, ["-team", "-number", "due"], "-team -number"),  # columns after a unique one have no effect
        ({"team": "a"}, "-number", "-number"),
        ({"team": "a", "number": 1}, "size", ""),
        ({"ref_id": "x"}, "due", ""),
        ({}, ["team", "-due"], "team -due? size? ref_id"),
        ({}, ["-team", "due"], "-team due? -size? -ref_id"),
        ({"team": "a"}, "due", "due? -size? -ref_id"),
        ({"team": in_("a")}, "due", None),
        ({"team": in_("a", "b")}, ["team", "-due"], "team -due? size? ref_id"),
        ({"team": "a", "due": datetime(2026, 1, 1, tzinfo=UTC)}, "size", "size? ref_id"),
        ({"due": datetime(2026, 1, 1, tzinfo=UTC)}, ["team", "size"], "team -due size? ref_id"),
        ({}, "size", "size? -ref_id team"),
        ({}, ["size", "-ref_id", "-due"], None),
        ({"done": False}, "due", "due? ref_id"),
        ({"done": True}, "due", None),
        ({"team": "a", "due": is_null(False)}, "size", "size? ref_id"),
        ({"team": in_("b", "a"), "due": lt(datetime(2026, 1, 1, tzinfo=UTC))}, "-size", "-size? -ref_id"),
        ({"stage": "won"}, "number", "number ref_id"),
        ({"stage": in_(Stage.NEW, "won")}, "-number", "-number -ref_id"),
        ({"stage": in_("new", "lost")}, "-number", None),
        ({"stage": in_()}, "-number", None),
        ({"stage": "lost"}, "-size", "-size? -ref_id"),
        ({"stage": "lost"}, None, "-size? -ref_id"),
        ({"stage": in_("lost", "new")}, "-size", "-size? ref_id -team"),
        ({"stage": "lost"}, "-due", None),
        ({}, "stage", None),
        ({"team": "a"}, "team", "number"),
    ],
)
def test_an_index_serves_the_orders_that_it_begins_with(
    where: dict[str, Any], order_by: Any, expected: str | None
) -> None:
    """An index serves each prefix of its columns, in both directions, without columns that have one value."""
    if expected is None:
        with pytest.raises(UsageError):
            described(where, order_by)
    else:
        assert described(where, order_by) == expected


class Example(
    Entity, table="examples", indexes=[index("team", "-due"), index("-due", where={"done": False})]
):
    team: str = "a"
    due: datetime | None = None
    done: bool = False


@pytest.mark.parametrize(
    ("where", "order_by", "expected"),
    [
        ({}, None, "-ref_id"),
        ({}, "due", None),
        ({"team": "a"}, "due", "due ref_id"),
        ({"team": in_("a", "b")}, "due", None),
        ({"done": False}, None, "-due -ref_id"),
        ({"done": False}, "due", "due ref_id"),
    ],
)
def test_the_examples_of_the_module_are_correct(
    where: dict[str, Any], order_by: str | None, expected: str | None
) -> None:
    """The two indexes, one of them partial, serve or refuse the orders that the module lists."""
    conditions = conditions_of(Example, where, deleted=False)
    if expected is None:
        with pytest.raises(UsageError, match="no index has the order 'due'"):
            order_of(Example, order_by, conditions)
        return
    found = order_of(Example, order_by, conditions).columns
    assert " ".join(f"{'-' if each.descending else ''}{each.column}" for each in found) == expected


rows = st.builds(
    Lead,
    number=st.uuids().map(str),
    team=st.none() | st.sampled_from("ab"),
    score=st.integers(0, 2),
    due=st.none() | st.sampled_from([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]),
    stage=st.sampled_from(Stage),
)
orders = st.none() | st.lists(
    st.tuples(
        st.sampled_from(["", "-"]), st.sampled_from(["team", "score", "due", "stage", "number", "worth"])
    ),
    min_size=1,
    unique_by=lambda pair: pair[1],
).map(lambda pairs: ["".join(pair) for pair in pairs])
wheres = st.sampled_from(
    [{}, {"team": "a"}, {"due": None}, {"score": ge(1)}, {"stage": "new"}, {"team": "b", "score": 0}]
)


@settings(deadline=None, database=None)
@given(st.lists(rows, max_size=20), wheres, orders, st.integers(1, 8))
def test_pages_are_a_partition(batch: list[Lead], where: dict[str, Any], order_by: Any, limit: int) -> None:
    """The pages of any records in any order contain each matching record exactly once."""
    leads = memory_store(*ENTITIES).scope(tenant=TENANT, actor="test").repository(Lead)
    leads.save_many(batch)
    whole = leads.find(where, order_by=order_by, limit=1000, unindexed=True)
    found: list[Any] = []
    after = None
    while True:
        page = leads.find(where, order_by=order_by, limit=limit, after=after, unindexed=True)
        found += page.items
        if (after := page.next) is None:
            break
        assert len(page) == limit
    assert [each.ref_id for each in found] == [each.ref_id for each in whole]
    assert len(found) == len({each.ref_id for each in found}) == leads.count(where)


def cursors(*names: str, tenant: UUID = TENANT) -> PageCursors:
    order = [Sort(name, descending=False, nullable=True) for name in names]
    return PageCursors(Everything.storekit_table, tenant, (), order)


@given(st.fixed_dictionaries({name: st.none() | FIELDS[name] for name in SCALARS}))
@settings(deadline=None, database=None)
def test_a_cursor_keeps_exact_values(row: dict[str, Any]) -> None:
    """The values of the last record are read from the cursor exactly."""
    columns = Everything.storekit_table.columns
    for name, value in row.items():
        encoded = encode_column(columns[name], value, name)
        if len(str(encoded)) < 2_000:
            (found,) = cursors(name).open(cursors(name).seal(row))
            kind = columns[name].sql
            assert comparable(found, kind) == comparable(encoded, kind)


@given(st.text() | st.binary().map(lambda data: data.hex()))
def test_an_invalid_cursor_is_refused(text: str) -> None:
    """A text that was not returned by this query is refused."""
    with pytest.raises(ValidationError, match="not a cursor of this query"):
        cursors("text").open(text)


@given(st.data())
def test_a_changed_cursor_is_refused(data: st.DataObject) -> None:
    """A cursor with any changed character, or of another tenant, is refused."""
    sealed = cursors("number", "text").seal({"number": 5, "text": "é"})
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_=").filter(lambda char: char != sealed[place]))
    for changed in (sealed[:place] + other + sealed[place + 1 :], sealed[:place], sealed + other):
        with pytest.raises(ValidationError):
            cursors("number", "text").open(changed)
    with pytest.raises(ValidationError):
        cursors("number", "text", tenant=uuid4()).open(sealed)


def test_a_natural_key_with_an_enum_has_no_order() -> None:
    """An order by a natural key that contains an enum needs an index: the error says what to declare."""

    class Kind(Entity, table="kinds", natural_key=["stage", "name"]):
        stage: Stage
        name: str

    kinds = memory_store(Kind).scope(tenant=uuid4(), actor="test").repository(Kind)
    with pytest.raises(UsageError, match="index"):
        kinds.find(order_by=["stage", "name"])
    assert not kinds.find(order_by=["stage", "name"], unindexed=True)
