"""The filters of `find` and `count`, besides plain equality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storekit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Filter:
    """One or more conditions on a column, all of which must hold; `&` joins filters.

    Only the functions of this module create filters, so a value from a request can never become an operator.

    >>> ge(3) & lt(7)
    Filter(tests=(('>=', (3,)), ('<', (7,))))

    Attributes:
        tests: operators, each with its operands.
    """

    tests: tuple[tuple[str, tuple[Any, ...]], ...]

    def __and__(self, other: Filter) -> Filter:
        if not isinstance(other, Filter):
            return NotImplemented
        return Filter(self.tests + other.tests)


def _test(operator: str, *values: Any) -> Filter:
    return Filter(((operator, values),))


def in_(*values: Any) -> Filter:
    """Match a column that equals one of the values, at most 10,000; without values nothing matches.

    >>> where = {"status": in_("new", "won")}
    """
    return _test("in", *values)


def between(low: Any, high: Any) -> Filter:
    """Match a column from `low` to `high`, both included.

    >>> between(1, 5) == ge(1) & le(5)
    True
    """
    return ge(low) & le(high)


def lt(value: Any) -> Filter:
    """Match a column less than the value; members of a StrEnum compare in the order of their declaration.

    >>> where = {"score": lt(10)}
    """
    return _test("<", value)


def le(value: Any) -> Filter:
    """Match a column less than the value or equal to it.

    >>> where = {"score": le(10)}
    """
    return _test("<=", value)


def gt(value: Any) -> Filter:
    """Match a column greater than the value.

    >>> where = {"score": gt(10)}
    """
    return _test(">", value)


def ge(value: Any) -> Filter:
    """Match a column greater than the value or equal to it.

    >>> where = {"score": ge(10) & lt(20)}
    """
    return _test(">=", value)


def is_null(yes: bool = True) -> Filter:
    """Match a column that is NULL (None); `is_null(False)` matches one that has a value.

    >>> where = {"closed_on": is_null(False)}

    Raises:
        UsageError: the argument is not a bool.
    """
    if not isinstance(yes, bool):
        raise UsageError(f"is_null({yes!r:.40}) takes True or False")
    return _test("null" if yes else "not null")


def prefix(text: str) -> Filter:
    """Match a `str` column that begins with the text; upper and lower case differ.

    >>> where = {"name": prefix("Ac")}
    """
    return _test("prefix", text)


def contains(*items: Any) -> Filter:
    """Match a list column that contains all of the items.

    >>> where = {"tags": contains("urgent", "billing")}
    """
    return _test("contains", *items)


def json_path(path: str, value: Any) -> Filter:
    """Match a JSON column with this value at a path of keys; None is JSON's null.

    >>> where = {"profile": json_path("address.city", "Bern")}

    Args:
        path: 1 to 64 keys joined by dots.
        value: any JSON value; it must be equal as a whole.
    """
    return _test("path", path, value)


def has_key(key: str) -> Filter:
    """Match a JSON column whose object has this key at its top level.

    >>> where = {"profile": has_key("address")}
    """
    return _test("key", key)
