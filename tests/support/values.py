"""Hypothesis strategies for the values of each column type and of documents."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.support.entities import Address, Everything, Status

BERLIN = ZoneInfo("Europe/Berlin")
BIGGEST = 2**63 - 1

ODD_TEXTS = [
    "",
    " ",
    "\u00e9",  # the two encodings of é, which are different texts
    "e\u0301",
    "שלום \u202eabc",
    "👩‍👩‍👧 \U0001d54f \U0010ffff",
    "\x01\x1f\x7f\x85\u2028",
    "\"\\'{},NULL $1 %s",
    "null",
    "x" * 10_000,
]
ODD_TIMES = [
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0),
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN),  # an hour that daylight saving time skips
    datetime(1883, 11, 18, 12, tzinfo=ZoneInfo("America/New_York")),  # an offset with seconds
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=23, minutes=59))),
]
ODD_NUMBERS = [Decimal(text) for text in ("0", "-0", "1E+3", "1.10", "1E-16383", "9E+131071", "-0.000")]
ODD_FLOATS = [0.0, -0.0, 5e-324, -1.7976931348623157e308, 0.1, 1e16, 2.0**63]

texts = st.sampled_from(ODD_TEXTS) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"])
)
integers = st.sampled_from([0, BIGGEST, -BIGGEST - 1, 2**53 + 1]) | st.integers(-BIGGEST - 1, BIGGEST)
floats = st.sampled_from(ODD_FLOATS) | st.floats(allow_nan=False, allow_infinity=False)
decimals = st.sampled_from(ODD_NUMBERS) | st.decimals(
    -(10**30), 10**30, allow_nan=False, allow_infinity=False
)
times = st.sampled_from(ODD_TIMES) | st.datetimes(
    datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.timezones() | st.just(UTC)
)
dates = st.sampled_from([date.min, date.max, date(2024, 2, 29)]) | st.dates()
# jsonb has one type of number and no negative zero; a float with more than 16 digits is read as an integer
json_floats = st.floats(-(10.0**15), 10.0**15).map(lambda number: number or 0.0)
trees = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | integers | json_floats | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
keys = st.text(st.characters(exclude_characters="\0.", exclude_categories=["Cs"]), min_size=1).filter(
    lambda key: not key.startswith("$")
)
milliseconds = st.datetimes(timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
decimals_128 = st.sampled_from([Decimal("1E+6111"), Decimal("1E-6176"), Decimal("-0"), Decimal("9" * 34)]) | (
    st.decimals(-(10**16), 10**16, places=10)
)
bodies = st.dictionaries(
    keys,
    st.recursive(
        st.none()
        | st.booleans()
        | integers
        | floats
        | texts
        | st.binary()
        | st.uuids()
        | milliseconds
        | decimals_128,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)
addresses = st.builds(Address, street=texts, floors=st.dictionaries(texts, integers, max_size=3))

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "text": texts,
    "number": integers,
    "real": floats,
    "money": decimals,
    "flag": st.booleans(),
    "uid": st.uuids(),
    "moment": times,
    "day": dates,
    "status": st.sampled_from(Status),
    "texts": st.lists(texts, max_size=4),
    "numbers": st.lists(integers, max_size=4),
    "reals": st.lists(floats, max_size=4),
    "tree": trees,
    "address": addresses,
    "doc": bodies,
}
records = st.builds(Everything, **{name: st.none() | values for name, values in FIELDS.items()})


def exact(value: Any) -> Any:
    """Return a value that is equal only to the same one: sign of zero, instant, type of number."""
    match value:
        case float():
            return "float", value.hex()
        case datetime():
            return "time", value.astimezone(UTC)
        case dict():
            return {key: exact(each) for key, each in value.items()}
        case list():
            return [exact(each) for each in value]
        case Address():
            return exact(value.model_dump())
    return type(value), value


def loose(value: Any) -> Any:
    """As `exact`, for JSON: one type of number, and no negative zero."""
    match value:
        case dict():
            return {key: loose(each) for key, each in value.items()}
        case list():
            return [loose(each) for each in value]
        case bool():
            return "bool", value
    return value


def comparable(record: Everything) -> dict[str, Any]:
    """Return the values of a record that a round trip must keep."""
    kept = {name: exact(getattr(record, name)) for name in FIELDS if name != "tree"}
    return {**kept, "tree": loose(record.tree)}
