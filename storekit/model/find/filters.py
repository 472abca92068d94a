"""The words by which `find` and `count` filter, beside plain equality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storekit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Filter:
    """What a column must be like. A value out of a request is never one, so it brings no operator.

    >>> ge(3) & lt(7)
    Filter(tests=(('>=', (3,)), ('<', (7,))))
    """

    tests: tuple[tuple[str, tuple[Any, ...]], ...]
    """Operators, with what they compare with."""

    def __and__(self, other: Filter) -> Filter:
        if not isinstance(other, Filter):
            return NotImplemented
        return Filter(self.tests + other.tests)


def _test(operator: str, *values: Any) -> Filter:
    return Filter(((operator, values),))


def in_(*values: Any) -> Filter:
    """Equal one of these values, at most 10,000; of none, match nothing."""
    return _test("in", *values)


def between(low: Any, high: Any) -> Filter:
    """Lie between two values, both included."""
    return ge(low) & le(high)


def lt(value: Any) -> Filter:
    """Be less than a value; states of a StrEnum are in the order of their declaration."""
    return _test("<", value)


def le(value: Any) -> Filter:
    """Be less than a value, or equal."""
    return _test("<=", value)


def gt(value: Any) -> Filter:
    """Be greater than a value."""
    return _test(">", value)


def ge(value: Any) -> Filter:
    """Be greater than a value, or equal."""
    return _test(">=", value)


def is_null(yes: bool = True) -> Filter:
    """Hold nothing; `is_null(False)` holds something."""
    if not isinstance(yes, bool):
        raise UsageError(f"is_null({yes!r:.40}): it must be True or False")
    return _test("null" if yes else "not null")


def prefix(text: str) -> Filter:
    """Begin with a text."""
    return _test("prefix", text)


def contains(*items: Any) -> Filter:
    """Be a list with all of these items."""
    return _test("contains", *items)


def json_path(path: str, value: Any) -> Filter:
    """Hold this JSON value at a path of keys, as "address.city"; None is JSON's null."""
    return _test("path", path, value)


def has_key(key: str) -> Filter:
    """Be a JSON object with this key."""
    return _test("key", key)
