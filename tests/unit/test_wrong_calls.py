"""Calls and declarations that are easy to get wrong, and what their errors say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from storekit import (
    AsyncStore,
    Entity,
    Mutable,
    SoftDelete,
    Store,
    StorekitError,
    UsageError,
    ValidationError,
    render,
)
from storekit.bridge import settle
from storekit.testing import async_memory_store, memory_store
from tests.support.harness import steps, trips


class Leaf(Entity, Mutable, table="leaves"):
    title: str
    xdesc: int = 0


class Other(Entity, Mutable, table="leaves"):
    name: str


class Hidden(Entity, Mutable, SoftDelete, table="hidden"):
    title: str


REF = "01JZ6N0E5V8Q4Y2T7R9WXBCDFG"
CALLS: dict[str, tuple[Callable[[Any, Any], Any], type[StorekitError], str]] = {
    "find(deleted)": (
        lambda _, leaves: leaves.find(deleted=True),
        UsageError,
        "derive the class from SoftDelete",
    ),
    "count(deleted)": (
        lambda _, leaves: leaves.count(deleted=True),
        UsageError,
        "deleted=True: Leaf keeps no",
    ),
    "repository(record)": (
        lambda scope, _: scope.repository(Leaf(title="a")),
        UsageError,
        r"repository\(Leaf\)",
    ),
    "update(version)": (
        lambda _, leaves: leaves.update(REF, {"version": 3}),
        ValidationError,
        "Leaf.version: storekit sets it; .*expected_version",
    ),
    "update_many(version)": (
        lambda _, leaves: leaves.update_many({REF: {"version": 3}}),
        ValidationError,
        "expected_version",
    ),
    "update(id)": (
        lambda _, leaves: leaves.update(REF, {"id": uuid4()}),
        ValidationError,
        "storekit sets it; omit",
    ),
    "find([])": (lambda _, leaves: leaves.find(["title", "a"]), UsageError, "must map columns to values"),
    "find(list)": (
        lambda _, leaves: leaves.find({"title": ["a", "b"]}),
        ValidationError,
        r"write in_\(a, b\)",
    ),
    "find(range)": (
        lambda _, leaves: leaves.find({"xdesc": range(3)}),
        ValidationError,
        r"write in_\(a, b\)",
    ),
    "find(keys)": (
        lambda _, leaves: leaves.find({"title": {"a": 1}.keys()}),
        ValidationError,
        r"write in_\(a, b\)",
    ),
    "title desc": (lambda _, leaves: leaves.find(order_by="title desc"), ValidationError, "write '-title'"),
    "title ASC": (lambda _, leaves: leaves.find(order_by="title ASC"), ValidationError, "write 'title'"),
    "+title": (lambda _, leaves: leaves.find(order_by="+title"), ValidationError, "write 'title'"),
    "pair": (lambda _, leaves: leaves.find(order_by=[("title", "desc")]), ValidationError, "write '-title'"),
    "commas": (
        lambda _, leaves: leaves.find(order_by="title, xdesc"),
        ValidationError,
        r"as a list: \['title', 'xdesc'\]",
    ),
    "unknown": (
        lambda _, leaves: leaves.find(order_by="titel desc"),
        ValidationError,
        "is not a column; Leaf has",
    ),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("make", [memory_store, async_memory_store], ids=["sync", "async"])
async def test_the_error_says_what_to_do(make: Any, name: str) -> None:
    """A wrong call raises a typed error that says what to write, before anything is sent."""
    call, kind, message = CALLS[name]
    scope = make(Leaf).scope(tenant=uuid4(), actor="test")
    with steps() as seen, pytest.raises(kind, match=message):
        await settle(call(scope, scope.repository(Leaf)))
    assert not trips(seen)


@pytest.mark.parametrize("order", ["xdesc", "-xdesc", ["title", "-xdesc"]])
def test_a_column_is_no_direction(order: Any) -> None:
    """A column whose name ends like a direction can be ordered by."""
    with memory_store(Leaf) as store:
        store.scope(tenant=uuid4(), actor="test").repository(Leaf).find(order_by=order, unindexed=True)


def test_deleted_records_of_a_class_that_keeps_them() -> None:
    """find(deleted=True) is allowed for a class with SoftDelete."""
    with memory_store(Hidden) as store:
        assert len(store.scope(tenant=uuid4(), actor="test").repository(Hidden).find(deleted=True)) == 0


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [
        ("tabel", "did you mean table?"),
        ("index", "did you mean indexes?"),
        ("natural_keys", "did you mean natural_key?"),
        ("collection", "the keywords are table, scope"),
        ("forzen", "the keywords are"),
    ],
)
def test_an_unknown_class_keyword(keyword: str, hint: str) -> None:
    """A misspelt class keyword raises UsageError with the right one; settings of pydantic are allowed."""
    wrong: dict[str, Any] = {keyword: "x"}
    with pytest.raises(
        UsageError, match=f"Wrong: {keyword} is not a class keyword .*{hint.replace('?', '.')}"
    ):

        class Wrong(Entity, **wrong):
            title: str

    class Titled(Entity, table="frozen", title="Titles"):
        title: str

    assert Titled.model_config["title"] == "Titles"


def test_a_keyword_of_a_base_of_the_user() -> None:
    """A base class of the user may take keywords of its own."""

    class Labelled:
        def __init_subclass__(cls, label: str = "", **more: Any) -> None:
            super().__init_subclass__(**more)

    class Tagged(Entity, Labelled, table="tagged", label="x"):
        title: str

    assert Tagged.storekit_table.name == "tagged"


def test_two_classes_of_one_table(tmp_path: Any) -> None:
    """Two classes that declare one table differently are refused together, before anything is started."""
    said = "Leaf and Other declare different fields for the table leaves"
    for make in (
        lambda: memory_store(Leaf, Other),
        lambda: async_memory_store(Leaf, Other),
        lambda: render(Leaf, Other),
        lambda: Store.embedded(tmp_path / "data", entities=[Leaf, Other]),
        lambda: AsyncStore.embedded(tmp_path / "data", entities=[Leaf, Other]),
    ):
        with pytest.raises(UsageError, match=said):
            make()
    assert not [*tmp_path.iterdir()]


async def test_the_wrong_kind_of_block() -> None:
    """`with` on an async store or unit, and `async with` on a sync one, say which one is right."""
    sync, other = memory_store(Leaf), async_memory_store(Leaf)
    units = [each.scope(tenant=uuid4(), actor="test").transaction() for each in (sync, other)]
    wrong: Any
    for wrong in (sync, units[0]):
        with pytest.raises(UsageError, match="is synchronous: write `with`, or use AsyncStore"):
            async with wrong:
                pass
    for wrong in (other, units[1]):
        with pytest.raises(UsageError, match="is asynchronous: write `async with`, or use Store"), wrong:
            pass
