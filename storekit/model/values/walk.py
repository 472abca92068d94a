"""Convert a value to the types that a store has: what the encoders of JSON and of documents share.

There are two kinds of places. In a place of a declared type, values of any class are converted, because the
reader converts them back; whether it gets the same value is checked afterwards. In a place without one, as in
`dict[str, Any]`, the reader gets what the store returns. There a walk that accepts only the store's own
classes proves by itself that nothing is lost, and no check is needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from storekit.errors import ValidationError
from storekit.model.values.limits import MAX_DEPTH, check_text, is_too_deep

Scalar = Callable[[Any, str], Any]
_BASES: Mapping[type, Callable[[Any], Any]] = {
    str: str.__str__,  # `str()` returns the name of a member of a str enum
    int: int.__int__,
    float: float.__float__,
    bytes: bytes,
    Decimal: Decimal,
    UUID: lambda value: UUID(int=value.int),
    datetime: lambda value: datetime.combine(value.date(), value.timetz()),
    date: lambda value: date.fromordinal(value.toordinal()),
}
"""Convert a value of a subclass to the class itself."""
_FAILURES = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
"""What the serializers and validators of the user's classes may raise."""


class Walk:
    """Checks and copies a value in one pass.

    Args:
        where: the field, for error messages.
        exact: accept only the classes that the store returns.
    """

    what = "a JSON value"
    scalars: Mapping[type, Scalar]
    """The store's classes, each with the function that checks and copies its values."""

    def __init__(self, where: str, *, exact: bool) -> None:
        self.where = where
        self.exact = exact

    def value(self, value: Any, depth: int = 1) -> Any:
        """Return a copy that consists of the store's classes.

        Raises:
            ValidationError: the store cannot hold the value.
        """
        kind = type(value)
        if kind in self.scalars:
            return self.scalars[kind](value, self.where)
        if kind is dict:
            return self.mapping(value, depth)
        if kind is list:
            return self.items(value, depth)
        if self.exact:
            raise ValidationError(
                f"{kind.__name__} in a place without a declared type would be different when it is read "
                "back; declare its type in a pydantic model, or pass a plain value",
                field=self.where,
            )
        return self.converted(value, depth)

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """Return a copy of a dict."""
        self._check_depth(value, depth)
        return {self.key(key): self.value(each, depth + 1) for key, each in value.items()}

    def items(self, value: Any, depth: int) -> list[Any]:
        """Return a copy of a list."""
        self._check_depth(value, depth)
        return [self.value(each, depth + 1) for each in value]

    def _check_depth(self, value: Any, depth: int) -> None:
        if is_too_deep(value, depth):
            raise ValidationError(f"it is nested deeper than {MAX_DEPTH} levels", field=self.where)

    def key(self, key: Any) -> str:
        """Return a key as text."""
        if type(key) is str:
            return check_text(key, self.where)
        if isinstance(key, str):
            return check_text(str.__str__(key), self.where)
        if self.exact:
            raise ValidationError(f"a key must be str, not {type(key).__name__}", field=self.where)
        (text,) = _json_form({key: None}, self.where)
        return check_text(text, self.where)

    def converted(self, value: Any, depth: int) -> Any:
        """Return a copy of a value whose class the store does not have."""
        if isinstance(value, Enum):
            return self.value(value.value, depth)
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        if isinstance(value, list | tuple | deque):
            return self.items(value, depth)
        if isinstance(value, set | frozenset):
            # in the order of their texts: that of a set differs from process to process, but a request that
            # another process repeats must have the same fingerprint
            return sorted(self.items(value, depth), key=repr)
        for base in type(value).__mro__[1:-1]:
            if base in self.scalars:
                return self.value(_BASES[base](value), depth)
        return self.value(_json_form(value, self.where, self.what), depth)


def _json_form(value: Any, where: str, what: str = "a key of JSON") -> Any:
    try:
        made = to_jsonable_python(value)
    except PydanticSerializationError as error:
        raise _Unknown(f"{type(value).__name__} is not {what}", field=where) from error
    except _FAILURES as error:
        raise _Unknown(f"{type(value).__name__} is not {what}: {error}", field=where) from error
    if type(made) is type(value) and not isinstance(value, dict):
        raise _Unknown(f"{type(value).__name__} is not {what}", field=where)
    return made


class _Unknown(ValidationError):
    """A class that has no form in JSON, unless the declared type has a serializer for it."""


def walk_declared(adapter: TypeAdapter[Any], value: Any, walk: Callable[[], Walk]) -> tuple[Any, Walk]:
    """Dump a value by its declared type, and convert what was dumped.

    Raises:
        ValidationError: a serializer failed, or the store cannot hold a value.
    """
    made = walk()
    try:
        return made.value(_dumped(adapter, value, made, "python")), made
    except _Unknown:
        # a serializer may be for JSON only, as those of many third-party types are
        made = walk()
        return made.value(_dumped(adapter, value, made, "json")), made


def _dumped(adapter: TypeAdapter[Any], value: Any, walk: Walk, mode: Any) -> Any:
    try:
        return adapter.dump_python(value, mode=mode, by_alias=True, round_trip=True, warnings=False)
    except _FAILURES as error:
        kind = ValidationError if mode == "json" else _Unknown
        raise kind(f"it cannot be stored: {error}", field=walk.where) from error


def validated(adapter: TypeAdapter[Any], stored: Any) -> Any:
    """Decode what a store returned as the declared type.

    Strict types are read as others, since a store has fewer types than Python: a strict `timedelta` is
    stored as text.
    """
    return adapter.validate_python(stored, strict=False)


def reasons(error: PydanticError) -> str:
    """Return pydantic's errors as text, without the values."""
    found = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, each['loc']))} {each['msg']}".strip() for each in found)
