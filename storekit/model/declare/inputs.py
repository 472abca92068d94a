"""Keep the fields that storekit sets out of the input from which an object is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def refused_names(values: Any, refused: frozenset[str]) -> list[str]:
    """List the names in an input that the caller may not set."""
    match values:
        case Mapping():
            return sorted(refused.intersection(values))
        case (_, Mapping() as more):  # an object and further values, for a class with from_attributes
            return refused_names(more, refused)
    return []


def without(values: Any, hidden: frozenset[str]) -> Any:
    """Hide attributes of an object from which a class with `from_attributes` is built.

    An object of another library often has an `id`, which belongs to its own table.
    """
    match values:
        case Mapping():
            return values
        case (single, Mapping() as more):
            return without(single, hidden), more
    return values if type(values).__module__ == "builtins" else _Attributes(values, hidden)


class _Attributes:
    """The attributes of an object, without some of them."""

    __slots__ = ("_hidden", "_object")

    def __init__(self, values: Any, hidden: frozenset[str]) -> None:
        self._object, self._hidden = values, hidden

    def __getattr__(self, name: str) -> Any:
        if name in self._hidden:
            raise AttributeError(name)
        return getattr(self._object, name)

    def __repr__(self) -> str:
        return repr(self._object)
