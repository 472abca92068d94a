"""Each row of the table of types in the docs: kept or refused, alike in columns and documents."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from ipaddress import IPv4Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    Json,
    RootModel,
    SecretStr,
    create_model,
    field_serializer,
)
from typing_extensions import TypedDict

from storekit import Blob, Entity, Mutable, UsageError, ValidationError, document
from storekit.testing import memory_store

T = TypeVar("T")
BERLIN = ZoneInfo("Europe/Berlin")
MOMENT = datetime(2026, 10, 25, 2, 30, 0, 123_000, tzinfo=BERLIN)


class Channel(str, Enum):  # noqa: UP042 not a StrEnum: its str() is not its value
    MAIL = "mail"


class Color(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Right(Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int = 0


class Options(TypedDict, total=False):
    depth: int
    since: date


@dataclasses.dataclass
class Size:
    width: int
    parts: list[int] = dataclasses.field(default_factory=list)


class Base(BaseModel):
    name: str = "x"


class Sub(Base):
    more: int = 1


class Twin(BaseModel):
    name: str = "x"


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


class Box(BaseModel, Generic[T]):
    item: T


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    spent: timedelta = timedelta(1)
    tags: frozenset[str] = frozenset({"a"})
    color: Color = Color.RED


class Short(BaseModel):
    text: str = ""

    @field_serializer("text")
    def _cut(self, text: str) -> str:
        return text[:3]


class Partly(BaseModel):
    lost: int = Field(default=0, exclude=True)


class Shown(BaseModel):
    secret: SecretStr

    @field_serializer("secret")
    def _reveal(self, secret: SecretStr) -> str:
        return secret.get_secret_value()


class Numbers(RootModel[list[int]]):
    pass


class Row(BaseModel):
    at: UUID = UUID(int=1)


class Foreign:
    pass


def entity(kind: Any, where: str) -> type[Entity]:
    """Return a class with a field of a model that has a field `v` of this type."""
    model = create_model("Holder", v=(kind, ...), __config__=ConfigDict(arbitrary_types_allowed=True))
    wanted: Any = model | None if where == "column" else Annotated[model | None, document(collection="docs")]
    space = {"__annotations__": {"held": wanted}, "held": None, "__module__": __name__}
    return type("Holding", (Entity, Mutable), space, table="holding")


def read_back(kind: Any, where: str, value: Any) -> Any:
    """Save a value that no validator has seen, and return what is read."""
    made = entity(kind, where)
    record = made()
    annotation = made.model_fields["held"].annotation
    model = next(each for each in annotation.__args__ if each is not type(None))  # type: ignore[union-attr]
    record.__dict__["held"] = model.model_construct(v=value)
    with memory_store(made) as store:
        records: Any = store.scope(tenant=uuid4(), actor="a").repository(made)
        saved = records.save(record)
        return records.get(saved.ref_id, load=["held"] if where == "document" else []).held.v


KEPT: list[tuple[Any, Any]] = [
    (bool | int | str | None, True),
    (bool | int, 1),
    (int | float, 1.0),
    (float, 1e17),
    (int, 2**63 - 1),
    (str, "\u00e9 $a.b"),
    (bytes, b"text"),
    (Decimal, Decimal("1E+3")),
    (Decimal, Decimal("-0")),
    (date, date(2026, 1, 1)),
    (time, time(1, 2, 3, 4)),
    (timedelta, timedelta(days=-1, microseconds=5)),
    (UUID, UUID(int=7)),
    (Color, Color.RED),
    (Channel, Channel.MAIL),
    (Level, Level.LOW),
    (Right, Right.READ | Right.WRITE),
    (Literal[1, "a", True], True),
    (HttpUrl, HttpUrl("https://example.org/a")),
    (IPv4Address, IPv4Address("192.0.2.1")),
    (IPv6Network, IPv6Network("2001:db8::/32")),
    (Path, Path("/a/b")),
    (re.Pattern[str], re.compile("a+")),
    (Json[list[int]], [1]),
    (list[int | None], [1, None]),
    (tuple[int, str], (1, "a")),
    (set[str], {"a", "b"}),
    (frozenset[int], frozenset({1, 2})),
    (deque[int], deque([1, 2])),
    (dict[int, str], {1: "a"}),
    (dict[UUID, int], {UUID(int=7): 1}),
    (dict[Channel, int], {Channel.MAIL: 1}),
    (dict[date, int], {date(2026, 1, 1): 1}),
    (dict[bool, int], {True: 1}),
    (defaultdict[str, list[int]], defaultdict(list, a=[1])),
    (Counter[str], Counter(a=2)),
    (Mapping[str, int], {"a": 1}),
    (Point, Point(1, 2)),
    (Options, {"depth": 1, "since": date(2026, 1, 1)}),
    (Size, Size(1, [2])),
    (Base, Base(name="y")),
    (Base | Twin, Base()),
    (Annotated[Cat | Dog, Field(discriminator="kind")], Dog()),
    (Box[int], Box[int](item=1)),
    (Open, Open.model_validate({"a": [1, {"b": None}]})),
    (Strict, Strict()),
    (Short, Short(text="abc")),
    (Partly, Partly()),
    (Shown, Shown(secret=SecretStr("s"))),
    (Numbers, Numbers([1])),
    (Any, {"a": [1, True, 1.5, None, "x"]}),
]
REFUSED: list[tuple[Any, Any]] = [
    (int, 2**63),
    (float, float("nan")),
    (str, "a\0b"),
    (str, "\ud800"),
    (re.Pattern[str], re.compile("a", re.IGNORECASE)),
    (deque[int], deque([1], maxlen=3)),
    (Base, Sub()),
    (list[Base], [Base(), Sub()]),
    (Base | Twin, Twin()),
    (Box, Box[int](item=1)),
    (Box[Base], Box[Base](item=Sub())),
    (Open, Open.model_validate({"a": (1,)})),
    (Short, Short(text="abcd")),
    (Partly, Partly(lost=1)),
    (int, True),
    (Any, Base()),
    (Any, Color.RED),
    (Any, Level.LOW),
    (Any, (1,)),
    (Any, {1}),
    (Any, {1: "a"}),
    (Any, date(2026, 1, 1)),
    (Any, OrderedDict(a=1)),
    (Any, bytearray(b"x")),
    (Any, memoryview(b"x")),
    (Any, Foreign()),
]
FORBIDDEN: list[tuple[Any, str]] = [
    (Callable[[int], int] | None, "Callable"),
    (Iterable[int], "Iterable"),
    (type[int], "a class"),
    (SecretStr | None, "secret"),
    (list[Foreign], "Foreign"),
    (OrderedDict[str, int], "OrderedDict"),
    (dict[tuple[int, int], int], "keys are tuple"),
    (set[Row], "set of objects"),
    (Blob | None, "Blob"),
]


def _names(cases: Sequence[tuple[Any, Any]]) -> list[str]:
    """Name the cases by place and type: the text of a value may differ between two workers."""
    return [f"{place} {getattr(kind, '__name__', 'other')}" for place, (kind, _) in enumerate(cases)]


@pytest.mark.parametrize("where", ["column", "document"])
@pytest.mark.parametrize(("kind", "value"), KEPT, ids=_names(KEPT))
def test_a_kept_type_is_read_with_value_and_class(where: str, kind: Any, value: Any) -> None:
    """A value of each type of the table is read equal, and of the same class."""
    found = read_back(kind, where, value)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("where", ["column", "document"])
@pytest.mark.parametrize(("kind", "value"), REFUSED, ids=_names(REFUSED))
def test_a_value_that_would_be_read_otherwise_is_refused(where: str, kind: Any, value: Any) -> None:
    """A value that no reader would get as it is raises ValidationError with the field."""
    with pytest.raises(ValidationError, match=r"Holding\.held"):
        read_back(kind, where, value)


@pytest.mark.parametrize("where", ["column", "document"])
@pytest.mark.parametrize(("kind", "named"), FORBIDDEN, ids=_names(FORBIDDEN))
def test_a_type_that_no_store_returns_is_refused_at_the_class(where: str, kind: Any, named: str) -> None:
    """The definition of a class raises UsageError that names the field of the model and the type."""
    with pytest.raises(UsageError, match=rf"Holding\.held: Holder\.v is .*{named}"):
        entity(kind, where)


def test_an_alias_that_is_not_read_is_refused_at_the_class() -> None:
    """A field that is stored under a name by which it is not read raises UsageError; an alias does not."""

    class Read(BaseModel):
        n: int = Field(default=0, validation_alias=AliasChoices("a", "b"))

    class Written(BaseModel):
        n: int = Field(default=0, serialization_alias="a")

    class Both(BaseModel):
        n: int = Field(default=0, alias="a")

    class Missing(BaseModel):
        n: int = Field(exclude=True)

    for model in (Read, Written, Missing):
        with pytest.raises(UsageError, match=rf"{model.__name__}\.n is"):
            entity(model, "column")
    assert read_back(Both, "document", Both(a=3)) == Both(a=3)


def test_an_entity_inside_a_value_is_refused_at_the_class() -> None:
    """A model within a column or document cannot contain an entity, which is a record of its own."""
    with pytest.raises(UsageError, match="the entity Record; declare a reference"):
        entity(Record, "column")


class Record(Entity, table="records"):
    name: str


@pytest.mark.parametrize(
    ("kind", "value", "column", "body"),
    [
        (AwareDatetime, MOMENT.replace(microsecond=123_456), MOMENT.replace(microsecond=123_456), MOMENT),
        (datetime, MOMENT.replace(fold=1), MOMENT.replace(fold=1), MOMENT.replace(fold=1)),
    ],
)
def test_times_keep_their_instant(kind: Any, value: Any, column: Any, body: Any) -> None:
    """An aware time is read as the same instant: in a document to the millisecond, in UTC."""
    for where, wanted in (("column", column), ("document", body)):
        assert read_back(kind, where, value).astimezone(UTC) == wanted.astimezone(UTC)


def test_what_only_documents_keep() -> None:
    """BSON has classes that JSON lacks; a jsonb column refuses what it would return as another class."""
    for kind, value in (
        (bytes, b"\xff"),
        (float, -0.0),
        (Any, 1e17),
        (Any, Decimal("1.5")),
        (Any, UUID(int=7)),
        (str | UUID, UUID(int=7)),
    ):
        assert repr(read_back(kind, "document", value)) == repr(value)
        with pytest.raises(ValidationError, match=r"Holding\.held"):
            read_back(kind, "column", value)
    with pytest.raises(ValidationError, match="no time zone"):
        read_back(datetime, "document", datetime(2026, 1, 1))
    with pytest.raises(ValidationError, match="has no '.'"):
        read_back(dict[float, int], "document", {1.5: 1})


def test_two_cuts_of_class() -> None:
    """An int in a float field is read as float; the key of a dict without a type is read as text."""
    for where in ("column", "document"):
        found = read_back(float, where, 3)
        assert (type(found), found) == (float, 3.0)
        (key,) = read_back(Any, where, {Channel.MAIL: 1})
        assert (type(key), key) == (str, "mail")


def test_a_default_of_another_class_is_refused_at_the_class() -> None:
    """A default that pydantic does not validate must have the class that a read returns."""
    for kind, default in ((str, Color.RED), (Color, "red"), (int, True), (dict[str, Any], {"a": Color.RED})):
        space = {"__annotations__": {"held": kind}, "held": default, "__module__": __name__}
        with pytest.raises(UsageError, match=r"the default cannot be stored: Plain\.held"):
            type("Plain", (Entity,), space, table="plain")


def test_an_item_of_another_class_is_refused() -> None:
    """The items of an array have the class of the declared item; an enum column has members."""

    class Arrays(Entity, table="arrays"):
        texts: list[str] = Field(default=[])
        color: Color = Color.RED

    with memory_store(Arrays) as store:
        records = store.scope(tenant=uuid4(), actor="a").repository(Arrays)
        for name, value in (("texts", [Color.RED]), ("texts", ("a",)), ("color", "red")):
            record = Arrays()
            record.__dict__[name] = value
            with pytest.raises(ValidationError, match=rf"Arrays\.{name}"):
                records.save(record)
