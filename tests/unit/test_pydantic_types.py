"""Types of the fields of entity classes: kept or refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import pydantic
import pytest
from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    HttpUrl,
    NaiveDatetime,
    PastDate,
    PastDatetime,
    PositiveInt,
    RootModel,
    SecretStr,
    StringConstraints,
)

from storekit import Entity, Mutable, UsageError, ValidationError, document
from tests.support.features import declare, repository, row

T = TypeVar("T")


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    lives: int = 1


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Owner(BaseModel):
    pet: Pet
    more: list[Pet] = []


@row("discriminated unions")
def test_a_discriminated_union_is_read_as_the_member_that_was_saved() -> None:
    """A union with a discriminator is kept in a document and inside a model; as a column it is refused."""

    class Home(Entity, Mutable, table="homes"):
        owner: Owner
        pet: Annotated[Cat | Dog | None, Field(discriminator="kind"), document(collection="homes")] = None

    homes = repository(Home)
    saved = homes.save(Home(owner=Owner(pet=Dog(), more=[Cat(lives=1), Dog()]), pet=Dog(lives=2)))
    found = homes.get(saved.ref_id, load=["pet"])
    assert (found.owner, found.pet, type(found.pet)) == (saved.owner, Dog(lives=2), Dog)
    assert homes.update(saved.ref_id, {"pet": {"kind": "cat"}}).version == 2
    assert homes.get(saved.ref_id, load=["pet"]).pet == Cat()
    with pytest.raises(UsageError, match=r"D\.x: .*cannot be a column"):
        declare(Pet)


class Box(BaseModel, Generic[T]):
    value: T


@row("generic models")
def test_a_generic_model_is_kept_if_its_types_are_given() -> None:
    """Box[int] is kept in columns and documents, and read as Box[int]."""

    class Crate(Entity, Mutable, table="crates"):
        box: Box[int]
        body: Annotated[Box[Box[str]] | None, document(collection="crates")] = None

    crates = repository(Crate)
    saved = crates.save(Crate(box=Box[int](value=1), body=Box[Box[str]](value=Box[str](value="a"))))
    found = crates.get(saved.ref_id, load=["body"])
    assert (found.box, found.body) == (saved.box, saved.body)
    assert (type(found.box), type(found.body)) == (Box[int], Box[Box[str]])


@row("generic entities")
def test_a_generic_entity_gets_its_table_with_its_types() -> None:
    """A generic base class has no table; a class derived with types has one."""

    class Measured(Entity, Mutable, Generic[T]):
        value: T

    class Size(Measured[int], table="sizes"):
        unit: str = "cm"

    sizes = repository(Size)
    assert sizes.get(sizes.save(Size(value=3)).ref_id).value == 3
    assert Size.storekit_table.columns["value"].sql == "bigint"
    with pytest.raises(UsageError, match=r"Held is generic in ~T; .*class Name\(Held\[int\], table="):

        class Held(Entity, Mutable, Generic[T], table="held"):
            box: Box[T]


class Scores(RootModel[dict[str, int]]):
    pass


class Numbers(RootModel[list[int]]):
    pass


@row("`RootModel`")
def test_a_root_model_is_kept_if_its_root_is_an_object() -> None:
    """A RootModel of a dict is a column or a document; one of a list is a column only."""

    class Sheet(Entity, Mutable, table="sheets"):
        scores: Scores
        numbers: Numbers
        body: Annotated[Scores | None, document(collection="sheets")] = None

    sheets = repository(Sheet)
    saved = sheets.save(Sheet(scores=Scores({"a": 1}), numbers=Numbers([2]), body=Scores({"b": 3})))
    found = sheets.get(saved.ref_id, load=["body"])
    assert (found.scores, found.numbers, found.body) == (saved.scores, saved.numbers, saved.body)


class Node(BaseModel):
    value: int
    children: list[Node] = []


@row("recursive models")
def test_a_model_may_contain_itself() -> None:
    """A recursive model is kept in columns and documents, up to 64 levels."""

    class Tree(Entity, Mutable, table="trees"):
        root: Node
        body: Annotated[Node | None, document(collection="trees")] = None

    trees = repository(Tree)
    node = Node(value=1, children=[Node(value=2)])
    saved = trees.save(Tree(root=node, body=node))
    assert trees.get(saved.ref_id, load=["body"]).body == trees.get(saved.ref_id).root == node
    for _ in range(40):
        node = Node(value=0, children=[node])
    with pytest.raises(ValidationError, match="64 levels"):
        trees.save(Tree(root=node))


NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@row("constraints, `AwareDatetime`, `PositiveInt`, ...")
@pytest.mark.parametrize(
    ("kind", "value", "wrong"),
    [
        (AwareDatetime, NOW, NOW.replace(tzinfo=None)),
        (AwareDatetime | None, NOW, "x"),
        (PastDatetime, NOW - timedelta(days=10_000), datetime(2999, 1, 1, tzinfo=UTC)),
        (PastDate, date(2000, 1, 1), date(2999, 1, 1)),
        (PositiveInt, 3, 0),
        (Annotated[Decimal, Field(max_digits=3)], Decimal("1.5"), Decimal("1.2345")),
        (Annotated[str, StringConstraints(pattern="^a")] | None, "abc", "b"),
        (Annotated[list[str], Field(min_length=1)], ["a"], []),
        (pydantic.UUID4, UUID("9b2b54d2-d4a5-4b3a-8e5b-0d4b1c7a1c11"), UUID(int=0)),
    ],
    ids=str,
)
def test_constrained_types_are_columns_of_their_base_type(kind: Any, value: Any, wrong: Any) -> None:
    """A constrained type has the column of its base type; constructor and update check the constraint."""
    made = declare(kind)
    records = repository(made)
    record = records.save(made.model_validate({"x": value}))
    assert records.get(record.ref_id).__dict__["x"] == value
    with pytest.raises(pydantic.ValidationError):
        made.model_validate({"x": wrong})
    with pytest.raises(ValidationError):
        records.update(record.ref_id, {"x": wrong})


class Fetched(BaseModel):
    url: HttpUrl | None = None
    tags: set[str] | None = None
    took: timedelta | None = None
    at: time | None = None
    peer: IPv4Address | None = None
    file: Path | None = None
    pair: tuple[int, str] | None = None
    price: Decimal | None = None
    retries: dict[int, str] | None = None
    owners: dict[UUID, str] | None = None


@row("URL, set, tuple, timedelta, time, IP address, path, int and UUID keys")
@pytest.mark.parametrize(
    "values",
    [
        {"url": "https://example.org/a"},
        {"tags": {"a"}},
        {"took": timedelta(seconds=1.5)},
        {"at": time(1, 2, 3)},
        {"peer": "192.0.2.1"},
        {"file": "/a/b"},
        {"pair": (1, "a")},
        {"price": Decimal("1.10")},
        {"retries": {1: "timeout"}},
        {"owners": {UUID(int=7): "jane"}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_the_types_of_pydantic_are_kept_inside_a_model(values: dict[str, Any]) -> None:
    """A model in a jsonb column or a document may have fields of every type that pydantic reads back."""

    class Page(Entity, Mutable, table="pages"):
        fetched: Fetched | None = None
        body: Annotated[Fetched | None, document(collection="pages")] = None

    pages = repository(Page)
    made = Fetched.model_validate(values)
    page = pages.get(pages.save(Page(fetched=made, body=made)).ref_id, load=["body"])
    for found in (page.fetched, page.body):
        assert (found, repr(found)) == (made, repr(made))


@row("types without a column")
@pytest.mark.parametrize(
    "kind",
    [
        HttpUrl, set[str], tuple[int, ...], bytes, timedelta, time, IPv4Address, Path, NaiveDatetime,
        SecretStr, Literal["a"], Any, int | str, list[Any], list[UUID], Cat | Dog, complex,
    ],
    ids=str,
)  # fmt: skip
def test_a_type_without_a_column_is_refused_at_the_class(kind: Any) -> None:
    """Other types are refused when the class is defined; the message names the field and the types."""
    with pytest.raises(UsageError, match=r"D\.x: .* cannot be a column; use one of str int float Decimal"):
        declare(kind)
