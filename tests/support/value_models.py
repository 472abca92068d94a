"""Models whose values are hard to store, and strategies that generate their values.

The classes are few, and their fields cover nesting, unions, generics, enums, serializers and `extra`. A value
may be one that no store returns: a subclass in the place of its base, a class of a union that looks like
another one, a value without a declared type. Such a value must be refused.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    computed_field,
    field_serializer,
    model_serializer,
)

from storekit import Entity, Mutable, document

BERLIN = ZoneInfo("Europe/Berlin")
T = TypeVar("T")


class Channel(str, Enum):  # noqa: UP042 not a StrEnum: its str() is not its value
    MAIL = "mail"
    PHONE = "phone"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Color(StrEnum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: float


class Step(BaseModel):
    name: str = ""
    weight: float = 0


class ShellStep(Step):
    command: str = ""


class Twin(BaseModel):
    """Has the fields of Step."""

    name: str = ""
    weight: float = 0


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: tuple[str, ...] = ()


class Box(BaseModel, Generic[T]):
    item: T


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    known: int = 0


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    spent: timedelta = timedelta(0)
    tags: frozenset[str] = frozenset()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def count(self) -> int:
        return len(self.tags)


class Short(BaseModel):
    """Its serializer loses text."""

    text: str = ""

    @field_serializer("text")
    def _cut(self, text: str) -> str:
        return text[:3]


class Wrapped(BaseModel):
    """Its serializer changes the form and loses nothing."""

    number: int = 0

    @model_serializer(mode="wrap")
    def _wrap(self, handler: Any) -> Any:
        return dict(handler(self))


class Partly(BaseModel):
    kept: int = 0
    lost: int = Field(default=0, exclude=True)


class Numbers(RootModel[list[int | float]]):
    pass


class Everyday(BaseModel):
    """Scalars and containers."""

    texts: set[str] = set()
    pairs: dict[int, UUID] = {}
    by_channel: dict[Channel, Level] = {}
    by_day: dict[date, bool] = {}
    path: Path | None = None
    peer: IPv4Address | None = None
    spent: timedelta | None = None
    at: datetime | None = None
    on: date | None = None
    clock: time | None = None
    money: Decimal | None = None
    raw: bytes | None = None
    point: Point | None = None
    either: int | float | bool | str | None = None
    when: date | datetime | None = None
    ident: str | UUID | None = None
    choice: Literal[1, "a", True] = "a"
    free: Any = None


class Nested(BaseModel):
    """Models in models."""

    step: Step | Twin = Step()
    steps: list[Step] = []
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] = Cat()
    box: Box[int] | None = None
    any_box: Box[Any] | None = None
    open: Open = Open()
    closed: Closed = Closed()
    short: Short = Short()
    wrapped: Wrapped = Wrapped()
    partly: Partly = Partly()
    numbers: Numbers = Numbers([])
    children: list[Nested] = []


class Valued(Entity, Mutable, table="valued", natural_key=["name"]):
    """The same types in a jsonb column and in a document."""

    name: str
    everyday: Everyday | None = None
    nested: Nested | None = None
    tree: dict[str, Any] | None = None
    everyday_doc: Annotated[Everyday | None, document(collection="valued_docs")] = None
    nested_doc: Annotated[Nested | None, document(collection="valued_docs")] = None
    tree_doc: Annotated[dict[str, Any] | None, document(collection="valued_docs")] = None


_texts = st.sampled_from(
    ["", "a", "mail", "1", "true", "2020-01-01", "é", "x\0", "\ud800", "$set", "a.b"]
) | (st.text(max_size=5))
_ints = st.sampled_from([0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63]) | st.integers(-5, 5)
_floats = st.sampled_from([0.0, -0.0, 1.0, 1e16, 1e17, -1e16, 2.0**63, -(2.0**63), 5e-324, 0.1, 1e300]) | (
    st.floats(width=32)
)
_decimals = st.sampled_from([Decimal(text) for text in ("0", "-0", "1.0", "1.00", "1E+3", "NaN", "1E-7000")])
_times = st.datetimes(
    datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.sampled_from([UTC, BERLIN])
) | (st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))
_plain = st.none() | st.booleans() | _ints | _floats | _texts
_odd = (
    st.sampled_from(
        [Channel.MAIL, Level.LOW, Color.RED, (), (1,), {1}, b"x", Step(), ShellStep(), object(), Point(1, 2)]
    )
    | _decimals
    | _times
    | st.dates()
    | st.uuids()
)
_keys = _texts | st.sampled_from([Channel.MAIL, Color.RED, 1, None])


def _trees(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda each: st.lists(each, max_size=2) | st.dictionaries(keys, each, max_size=2),
        max_leaves=4,
    )


_anything = _trees(_plain, _texts) | _trees(_plain | _odd, _keys)


def _some(model: type[BaseModel], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Generate models with a few of these fields set, without validation, as after edits in place."""
    chosen = st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3, unique=True)
    values = chosen.flatmap(lambda names: st.fixed_dictionaries({name: fields[name] for name in names}))
    return values.map(lambda given: model.model_construct(**given))


steps = _some(Step, name=_texts, weight=_floats | _ints)
_any_step = steps | _some(ShellStep, name=_texts, command=_texts) | _some(Twin, name=_texts)
everyday = _some(
    Everyday,
    texts=st.sets(_texts, max_size=3),
    pairs=st.dictionaries(st.integers(-9, 9), st.uuids(), max_size=2),
    by_channel=st.dictionaries(st.sampled_from(Channel), st.sampled_from(Level), max_size=2),
    by_day=st.dictionaries(st.dates(), st.booleans(), max_size=2),
    path=st.sampled_from([Path("/a"), Path("b/c")]),
    peer=st.sampled_from([IPv4Address("192.0.2.1")]),
    spent=st.timedeltas(),
    at=_times,
    on=st.dates() | _times,
    clock=st.times(),
    money=_decimals,
    raw=st.binary(max_size=4),
    point=st.builds(Point, st.integers(-9, 9), _floats),
    either=_plain,
    when=st.dates() | _times,
    ident=_texts | st.uuids(),
    choice=st.sampled_from([1, "a", True, 1.0]),
    free=_anything,
)
_leaf = {
    "step": _any_step,
    "steps": st.lists(_any_step, max_size=2),
    "pet": _some(Cat, lives=_ints) | _some(Dog, tricks=st.tuples(_texts)),
    "box": st.builds(Box[int].model_construct, item=_ints | st.booleans())
    | st.builds(Box.model_construct, item=_ints),
    "any_box": st.builds(Box[Any].model_construct, item=_anything),
    "open": st.dictionaries(st.sampled_from(["a", "b"]), _anything, max_size=2).map(
        lambda extra: Open(**extra)
    ),
    "closed": _some(Closed, spent=st.timedeltas(), tags=st.frozensets(_texts, max_size=3)),
    "short": _some(Short, text=_texts),
    "wrapped": _some(Wrapped, number=_ints | _floats),
    "partly": _some(Partly, kept=_ints, lost=_ints),
    "numbers": st.builds(Numbers.model_construct, st.lists(_ints | _floats, max_size=3)),
}
nested = _some(Nested, **_leaf, children=st.lists(_some(Nested, **_leaf), max_size=2))
trees = st.dictionaries(_keys, _anything, min_size=1, max_size=3)

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "everyday": everyday,
    "nested": nested,
    "tree": trees,
    "everyday_doc": everyday,
    "nested_doc": nested,
    "tree_doc": trees,
}
values = st.sampled_from(sorted(FIELDS)).flatmap(lambda name: st.tuples(st.just(name), FIELDS[name]))
