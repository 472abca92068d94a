"""Fields, types and inheritance of entity classes: kept or refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar
from uuid import UUID

import pydantic
import pytest
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    NaiveDatetime,
    PastDate,
    PastDatetime,
    PlainSerializer,
    PositiveInt,
    PrivateAttr,
    RootModel,
    SecretStr,
    StringConstraints,
    computed_field,
    create_model,
    field_serializer,
    model_serializer,
)

from storekit import Entity, Mutable, UsageError, ValidationError, document
from tests.support.features import repository, row, scope_of

T = TypeVar("T")


def declare(kind: Any, default: Any = ...) -> type[Entity]:
    """Declare a class with one field of a type."""
    bases: Any = (Entity, Mutable)
    made: type[Entity] = create_model("D", __base__=bases, __cls_kwargs__={"table": "ds"}, x=(kind, default))
    return made


@row("private attributes")
def test_private_attributes_are_not_stored() -> None:
    """A save leaves private attributes as they are, and a loaded object has their defaults."""

    class Job(Entity, Mutable, table="jobs"):
        name: str = ""
        _tries: int = PrivateAttr(default_factory=lambda: 3)

        def count(self, more: int = 0) -> int:
            self._tries += more
            return self._tries

    jobs = repository(Job)
    job = Job()
    job.count(4)
    assert jobs.save(job).count() == 7
    assert jobs.get(job.ref_id).count() == 3


@row("`ClassVar`, properties, methods")
def test_class_variables_and_properties_are_not_fields() -> None:
    """A ClassVar, a property and a method have no column, and work on loaded records."""

    class Job(Entity, Mutable, table="jobs"):
        limit: ClassVar[int] = 3
        tries: int = 0

        @property
        def left(self) -> int:
            return self.limit - self.tries

    jobs = repository(Job)
    assert set(Job.storekit_table.columns) == {"tries"}
    assert jobs.get(jobs.save(Job(tries=1)).ref_id).left == 2


@row("`Field(repr, title, deprecated, init, kw_only, ...)`")
def test_arguments_of_field_that_describe_it_do_not_change_what_is_stored() -> None:
    """Fields with descriptions and flags are stored as others."""
    flags: list[dict[str, Any]] = [
        {"repr": False},
        {"deprecated": "use y"},
        {"init": False},
        {"kw_only": True},
        {"title": "X", "description": "x", "examples": [1], "json_schema_extra": {"a": 1}},
    ]
    for flag in flags:
        made = declare(int, Field(default=1, **flag))
        records = repository(made)
        record = records.save(made.model_validate({"x": 5}))
        assert records.get(record.ref_id).__dict__["x"] == 5


@row("`exclude`, serializers and `computed_field` of an entity")
def test_serializers_of_an_entity_apply_to_dumps_only() -> None:
    """storekit stores the value of the field itself; `exclude` and serializers change model_dump() only."""

    class User(Entity, Mutable, table="users"):
        password: str = Field(default="", exclude=True)
        size: Annotated[int, PlainSerializer(lambda size: f"{size} B")] = 0
        name: str = ""

        @field_serializer("name")
        def _upper(self, name: str) -> str:
            return name.upper()

        @computed_field  # type: ignore[prop-decorator]
        @property
        def greeting(self) -> str:
            return f"Hello {self.name}"

        @model_serializer(mode="wrap")
        def _within(self, handler: Any) -> dict[str, Any]:
            return {"user": handler(self)}

    users = repository(User)
    found = users.get(users.save(User(password="x", size=3, name="ada")).ref_id)
    assert (found.password, found.size, found.name, found.greeting) == ("x", 3, "ada", "Hello ada")
    dumped = found.model_dump(include={"password", "size", "name"})["user"]
    assert dumped == {"size": "3 B", "name": "ADA"}
    assert users.count({"name": "ada", "size": 3}) == 1


class Wrapped(BaseModel):
    text: str

    @model_serializer
    def _within(self) -> dict[str, Any]:
        return {"wrapped": self.text}


@row("`model_serializer` of a nested model")
def test_a_serializer_whose_result_cannot_be_read_is_refused() -> None:
    """A nested model that its class would not read back is refused by the save, before anything is sent."""

    class Page(Entity, Mutable, table="pages"):
        column: Wrapped | None = None
        body: Annotated[Wrapped | None, document(collection="pages")] = None

    pages = repository(Page)
    for name in ("column", "body"):
        with pytest.raises(ValidationError, match=rf"Page\.{name}: "):
            pages.save(Page(**{name: Wrapped(text="a")}))


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


class Named(BaseModel):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def _strip(cls, name: str) -> str:
        return name.strip()


class Base(Entity, Mutable):
    model_config = ConfigDict(str_to_lower=True)
    shared: str = "S"

    def shout(self) -> str:
        return self.shared.upper()


@row("inheritance and mixins")
def test_fields_validators_and_settings_are_inherited() -> None:
    """Base classes without a table and mixins of BaseModel give their fields, validators and settings."""

    class Member(Named, Base, table="members"):
        age: int = 0

    class Guest(Member, table="guests"):
        host: str = ""

    scope = scope_of(Member, Guest)
    members = scope.repository(Member)
    member = members.get(members.save(Member(name=" ADA ", shared="X")).ref_id)
    assert (member.name, member.shared, member.shout()) == ("ada", "x", "X")
    assert set(Member.storekit_table.columns) == {"name", "shared", "age"}
    guest = scope.repository(Guest).save(Guest(name="eve", host="ada"))
    assert (members.count(), scope.repository(Guest).get(guest.ref_id).host) == (1, "ada")


@row("subclasses of a class with a table")
def test_a_repository_takes_only_records_of_its_own_table() -> None:
    """A subclass with a table has its own records; one without shares those of its base and adds no field."""

    class Member(Base, table="members"):
        age: int = 0

    class Guest(Member, table="guests"):
        pass

    class Elder(Member):
        def years(self) -> str:
            return f"{self.age} years"

    scope = scope_of(Member, Guest)
    members = scope.repository(Member)
    with pytest.raises(UsageError, match="this repository takes Member, not Guest"):
        members.save(Guest())
    elder = members.save(Elder(age=80))
    assert type(members.get(elder.ref_id)) is Member
    assert scope.repository(Elder).get(elder.ref_id).years() == "80 years"
    with pytest.raises(UsageError, match="Lost adds fields to Member: more"):

        class Lost(Member):
            more: int = 0


@row("`model_construct`")
def test_an_object_that_was_not_validated_is_checked_by_the_save() -> None:
    """model_construct() skips pydantic; a value of another type is refused by the save."""

    class Job(Entity, Mutable, table="jobs"):
        tries: int = 0

    jobs = repository(Job)
    assert jobs.get(jobs.save(Job.model_construct(tries=2)).ref_id).tries == 2
    with pytest.raises(ValidationError, match=r"Job\.tries: it must be int, not str"):
        jobs.save(Job.model_construct(tries="2"))


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
        {"tags": {"a", "b"}},
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
    """A model in a jsonb column may have fields of every type that pydantic writes as JSON and reads back."""

    class Page(Entity, Mutable, table="pages"):
        fetched: Fetched | None = None

    pages = repository(Page)
    made = Fetched.model_validate(values)
    found = pages.get(pages.save(Page(fetched=made)).ref_id).fetched
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
