"""Values that a store cannot keep, and that Python's equality does not tell apart from what would be read."""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from datetime import datetime, time, timedelta, timezone, tzinfo
from functools import cached_property
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, create_model
from pydantic.dataclasses import dataclass

from storekit import Entity, Mutable, ValidationError, document
from tests.support.features import repository

BERLIN = ZoneInfo("Europe/Berlin")


@dataclass(config=ConfigDict(extra="allow"))
class Point:
    x: int

    @cached_property
    def double(self) -> int:
        return 2 * self.x


@plain_dataclass
class Plain:
    __pydantic_config__ = ConfigDict(extra="allow")
    x: int


class NoOffset(tzinfo):
    def utcoffset(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> str:
        return "none"

    dst = utcoffset


class Never:
    """Its equality raises an error of its own."""

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError

    __hash__ = None  # type: ignore[assignment]


def saved(kind: Any, value: Any, place: str) -> Any:
    """Save a value of a type in a column or a document, and return what is read."""
    model = create_model("Held", value=(kind, ...))
    other: Any = Annotated[model, document(collection="held")] if place == "document" else model
    bases: Any = (Entity, Mutable)
    row: Any = create_model("Row", __base__=bases, __cls_kwargs__={"table": "rows"}, held=(other, ...))
    rows = repository(row)
    given: BaseModel = model.model_construct(value=value)
    ref_id = rows.save(row.model_construct(held=given)).ref_id
    found: Any = rows.get(ref_id, load=["held"] if place == "document" else [])
    return found.held.value


PLACES = pytest.mark.parametrize("place", ["column", "document"])


@PLACES
def test_extra_values_of_a_dataclass_are_refused(place: str) -> None:
    """pydantic does not write the extra values of a dataclass, so a save refuses them and names the first."""
    extra: Any = {"x": 1, "y": 2}
    with pytest.raises(ValidationError, match=r"value\.y"):
        saved(Point, Point(**extra), place)
    other = Plain(1)
    vars(other)["y"] = 2
    with pytest.raises(ValidationError, match=r"value\.y"):
        saved(Plain, other, place)
    point = Point(x=1)
    assert point.double == 2
    assert saved(Point, point, place).x == 1


@PLACES
@pytest.mark.parametrize("value", [time(12, tzinfo=BERLIN), time(12, tzinfo=NoOffset())])
def test_a_time_whose_zone_would_be_lost_is_refused(place: str, value: time) -> None:
    """A time of day with a zone that has no offset of its own would be read without the zone."""
    with pytest.raises(ValidationError, match=r"value: .*time"):
        saved(time, value, place)
    fixed = time(12, tzinfo=timezone(timedelta(hours=5)))
    assert saved(time, fixed, place) == fixed
    assert saved(time, time(12), place) == time(12)


def test_a_datetime_whose_zone_would_be_lost_is_refused() -> None:
    """A datetime with a zone that has no offset would be read without the zone."""
    with pytest.raises(ValidationError, match=r"value: datetime"):
        saved(datetime, datetime(2026, 1, 1, tzinfo=NoOffset()), "column")


@pytest.mark.parametrize(
    "value",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=5))),
    ],
)
def test_a_time_beyond_the_years_of_utc_is_kept_or_refused(value: datetime) -> None:
    """A jsonb column keeps an aware time whose UTC is outside the years 1 to 9999; a document refuses it."""
    found = saved(datetime, value, "column")
    assert (found.replace(tzinfo=None), found.utcoffset()) == (value.replace(tzinfo=None), value.utcoffset())
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        saved(datetime, value, "document")


@PLACES
def test_a_class_whose_equality_fails_is_refused(place: str) -> None:
    """An error of the equality of a class becomes a ValidationError."""

    kind = Annotated[Never, PlainValidator(lambda _: Never()), PlainSerializer(lambda _: "never")]
    with pytest.raises(ValidationError, match=r"value: Never would be read as another"):
        saved(kind, Never(), place)
