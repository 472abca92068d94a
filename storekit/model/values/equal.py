"""Compare values more strictly than Python does: value and class, at every depth."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel

_MISSING = object()
_FIRST = datetime(1, 1, 1)  # noqa: DTZ001 it has no zone, as the times that it is compared with


def json_equal(one: Any, other: Any) -> bool:
    """Return whether two encoded values are the same JSON; in Python true equals 1, and 1 equals 1.0.

    >>> json_equal({"a": True}, {"a": 1}), json_equal({"a": 0.0}, {"a": -0.0}), json_equal([1], [1])
    (False, False, True)
    """
    return bool(one == other) and _text(one) == _text(other)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def difference(given: Any, read: Any, cut: bool = False) -> str | None:
    """Return where a value that was given and the value that a reader would get differ; None if they do not.

    The following are equal although their classes differ: an `int` and the same `float`, which the type
    `float` accepts; two times of the same instant, whatever their zone; as keys of a dict, a member of a
    `str` enum and its text, because keys are stored as text. With `cut`, times are compared to the
    millisecond, as documents keep them.
    """
    if given is read:
        return None
    kind = type(given)
    if isinstance(given, datetime):
        return None if _same_instant(given, read, cut) else _changed(given, read)
    if kind is not type(read):
        whole = kind is int and type(read) is float and given == read
        return None if whole else _changed(given, read)
    compare = _COMPARISONS.get(kind) or _comparison(kind)
    return compare(given, read, cut)


def _changed(given: Any, read: Any) -> str:
    one, other = type(given).__name__, type(read).__name__
    return f": {one} would be read as {other}" if one != other else f": {one} would be read as another {one}"


def _same_instant(given: datetime, read: Any, cut: bool) -> bool:
    if cut:
        given = given.replace(microsecond=given.microsecond // 1000 * 1000)
    if not isinstance(read, datetime) or (given.tzinfo is None) != (read.tzinfo is None):
        return False
    return _since(given) == _since(read)


def _since(moment: datetime) -> tuple[timedelta, bool]:
    """Return the time since the year 1 in UTC, or in no zone, and whether there is an offset.

    This does not use `astimezone`, which fails if the time in UTC is outside the years 1 to 9999. And
    datetimes of different zones never compare as equal in an hour that daylight saving time repeats.
    """
    offset = moment.utcoffset()
    return moment.replace(tzinfo=None) - _FIRST - (offset or timedelta()), offset is None


def _times(given: time, read: time, cut: bool) -> str | None:
    # a zone such as Europe/Berlin has no offset without a date, so its time is stored like one without a zone
    return (
        _by_value(given, read, cut)
        if (given.tzinfo is None) == (read.tzinfo is None)
        else _changed(given, read)
    )


def _by_value(given: Any, read: Any, cut: bool) -> str | None:
    try:
        return None if given == read else _changed(given, read)
    except Exception:  # the class has an equality of its own, as arrays do
        return _changed(given, read)


def _floats(given: float, read: float, cut: bool) -> str | None:
    if given != read:
        return _changed(given, read)
    return None if math.copysign(1, given) == math.copysign(1, read) else f": {given} would be read as {read}"


def _decimals(given: Decimal, read: Decimal, cut: bool) -> str | None:
    return None if given.as_tuple() == read.as_tuple() else _changed(given, read)


def _sequences(given: Sequence[Any], read: Sequence[Any], cut: bool) -> str | None:
    if len(given) != len(read):
        return f": {len(given)} items would be read as {len(read)}"
    for i, (one, other) in enumerate(zip(given, read, strict=True)):
        if (found := difference(one, other, cut)) is not None:
            return f"[{i}]{found}"
    return None


def _deques(given: deque[Any], read: deque[Any], cut: bool) -> str | None:
    return (
        _sequences(given, read, cut)
        if given.maxlen == read.maxlen
        else ": the maxlen of the deque would be lost"
    )


def _mappings(given: Mapping[Any, Any], read: Mapping[Any, Any], cut: bool) -> str | None:
    plain = len(given) == len(read) and {*map(type, given), *map(type, read)} <= {str}
    if not plain and (found := _keys(given, read, cut)) is not None:
        return found
    for key, one in given.items():
        other = read.get(key, _MISSING)
        found = (
            f": the key {type(key).__name__} would be lost"
            if other is _MISSING
            else difference(one, other, cut)
        )
        if found is not None:
            return f"[{key!r:.40}]{found}"
    return None


def _keys(given: Iterable[Any], read: Iterable[Any], cut: bool) -> str | None:
    known = {key: key for key in read}
    for key in given:
        other = known.pop(key, _MISSING)
        if isinstance(key, str) and type(other) is str:
            continue
        if other is _MISSING or difference(key, other, cut) is not None:
            return f": a key of class {type(key).__name__} would be read as another key"
    return ": more keys would be read" if known else None


def _ordered(given: OrderedDict[Any, Any], read: OrderedDict[Any, Any], cut: bool) -> str | None:
    return _mappings(given, read, cut) if len(given) < 2 else ": the order of the OrderedDict would be lost"


def _defaulting(given: defaultdict[Any, Any], read: defaultdict[Any, Any], cut: bool) -> str | None:
    if given.default_factory is not read.default_factory:
        return ": the default_factory of the defaultdict would be lost"
    return _mappings(given, read, cut)


def _sets(given: Set[Any], read: Set[Any], cut: bool) -> str | None:
    return _keys(given, read, cut) and f": items of the {type(given).__name__} would be read as others"


def _models(given: BaseModel, read: BaseModel, cut: bool) -> str | None:
    for name in type(given).__pydantic_fields__:
        found = difference(given.__dict__.get(name, _MISSING), read.__dict__.get(name, _MISSING), cut)
        if found is not None:
            return f".{name}{found}"
    return difference(given.__pydantic_extra__ or {}, read.__pydantic_extra__ or {}, cut)


def _dataclasses(given: Any, read: Any, cut: bool) -> str | None:
    names = [field.name for field in dataclasses.fields(given)]
    if getattr(type(given), "__pydantic_config__", {}).get("extra") == "allow":
        # pydantic does not write extra values; what the class itself has is a cached property
        names += [name for name in vars(given) if name not in names and not hasattr(type(given), name)]
    for name in names:
        found = difference(getattr(given, name, _MISSING), getattr(read, name, _MISSING), cut)
        if found is not None:
            return f".{name}{found}"
    return None


Comparison = Callable[[Any, Any, bool], "str | None"]
_COMPARISONS: dict[type, Comparison] = {
    **dict.fromkeys((type(None), bool, int, str, bytes, UUID, date), _by_value),
    float: _floats,
    Decimal: _decimals,
    time: _times,
    dict: _mappings,
    list: _sequences,
}


def _comparison(kind: type) -> Comparison:
    """Return the comparison of a class that is not in the table."""
    if issubclass(kind, BaseModel):
        return _models
    if dataclasses.is_dataclass(kind):
        return _dataclasses
    for base, compare in _BASES:
        if issubclass(kind, base):
            return compare
    return _by_value


_BASES: Sequence[tuple[type, Comparison]] = (
    (OrderedDict, _ordered),
    (defaultdict, _defaulting),
    (deque, _deques),
    (Mapping, _mappings),
    (Set, _sets),
    (list, _sequences),
    (tuple, _sequences),
)
