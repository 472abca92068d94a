"""Encode the values of jsonb columns, and decode what Postgres returns for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum
from types import NoneType
from typing import Any

from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticError

from storekit.errors import ValidationError
from storekit.model.values.equal import difference
from storekit.model.values.limits import MAX_DEPTH, MAX_INT, check_float, check_int, check_text, is_too_deep
from storekit.model.values.walk import Walk, reasons, validated, walk_declared

_DIGITS = 1e16
"""From here on Python writes a float with an exponent, and jsonb returns one without fraction as an int."""


def encode_exact(value: Any, where: str) -> Any:
    """Encode the value of a column of type `dict[str, Any]`: it must consist of JSON's own classes.

    Raises:
        ValidationError: a value would be read as another one, or Postgres cannot store it.
    """
    if type(value) is not dict:
        raise ValidationError(f"it must be dict, not {type(value).__name__}", field=where)
    return _Walk(where, exact=True).value(value)


def encode_checked(adapter: TypeAdapter[Any], value: Any, where: str) -> Any:
    """Encode the value of a column of another type, and check that it is read as the same value.

    Raises:
        ValidationError: a value would be read as another one, or Postgres cannot store it.
    """
    encoded, walk = _walked(adapter, value, where)
    try:
        read = decode_json(adapter, _as_stored(encoded) if walk.inexact_floats else encoded)
    except PydanticError as error:
        message = f"the class would not accept the stored value: {reasons(error)}"
        raise ValidationError(message, field=where) from error
    if encoded is None:
        raise lossy(f": {type(value).__name__} would be read as None", where)
    if (found := difference(value, read)) is not None:
        raise lossy(found, where)
    return encoded


def encode_declared(adapter: TypeAdapter[Any], value: Any, where: str) -> Any:
    """Encode a value that was read before, without the check."""
    return _walked(adapter, value, where)[0]


def encode_operand(adapter: TypeAdapter[Any], value: Any, where: str) -> Any:
    """Encode a value that the whole column is compared with, after the column's type has accepted it.

    Raises:
        ValidationError: the type does not accept it, or Postgres cannot store it.
    """
    try:
        valid = validated(adapter, value)
    except PydanticError as error:
        raise ValidationError(f"it is not a value of this column: {reasons(error)}", field=where) from error
    return encode_declared(adapter, valid, where)


def encode_inner_operand(value: Any, where: str) -> Any:
    """Encode a JSON value that a part of a column is compared with.

    Raises:
        ValidationError: it contains a class that JSON does not have, or a text or number that Postgres cannot
            store.
    """
    return _OperandWalk(where, exact=False).value(value)


def lossy(found: str, where: str) -> ValidationError:
    """Return the error for a value that a reader would not get as it is."""
    message = (
        "the value would be different when it is read back"
        f"{' at ' if found[0] in '.[' else ''}{found}; declare a type that keeps it"
    )
    return ValidationError(message, field=where)


def decode_json(adapter: TypeAdapter[Any], stored: Any) -> Any:
    """Decode what Postgres returned as the declared type."""
    return validated(adapter, _restored(stored))


class _Walk(Walk):
    """Checks and copies a JSON value."""

    def __init__(self, where: str, *, exact: bool) -> None:
        super().__init__(where, exact=exact)
        self.inexact_floats = False
        """Whether jsonb returns a number in another form: the declared type decides what is read."""
        self.scalars = {**_SCALARS, float: self._float}

    def _float(self, value: float, where: str) -> float:
        number = check_float(value, where)
        if _is_stored_as_another(number):
            if self.exact:
                message = (
                    f"jsonb would return {number!r} as another number; declare the type float, or pass "
                    "an int or a Decimal as text"
                )
                raise ValidationError(message, field=where)
            self.inexact_floats = True
        return number


class _OperandWalk(_Walk):
    """Copies a JSON value to compare with: a number in another form is equal in jsonb too."""

    def key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise ValidationError(f"a JSON key must be str, not {type(key).__name__}", field=self.where)
        return super().key(key)

    def converted(self, value: Any, depth: int) -> Any:
        if not isinstance(value, Enum | str | int | float | list | tuple | dict):
            raise ValidationError(
                f"{type(value).__name__} is not a JSON value; pass a plain value", field=self.where
            )
        return super().converted(value, depth)


def _is_stored_as_another(number: float) -> bool:
    if number == 0:
        return math.copysign(1, number) < 0
    return abs(number) >= _DIGITS and -MAX_INT - 1 <= number <= MAX_INT


def _walked(adapter: TypeAdapter[Any], value: Any, where: str) -> tuple[Any, _Walk]:
    encoded, walk = walk_declared(adapter, value, lambda: _Walk(where, exact=False))
    assert isinstance(walk, _Walk)  # noqa: S101 for the type checker
    return encoded, walk


def _as_stored(value: Any) -> Any:
    """Return an encoded value with its numbers as jsonb returns them."""
    match value:
        case float() if _is_stored_as_another(value):
            return int(value) if value else 0.0
        case list():
            return [_as_stored(each) for each in value]
        case dict():
            return {key: _as_stored(each) for key, each in value.items()}
    return value


def _restored(value: Any, depth: int = 1) -> Any:
    """Return what a save could have written; hand-written SQL may write other forms.

    Integers beyond 64 bits become floats: jsonb returns a float such as 1e20 without a decimal point, and a
    saved integer has at most 64 bits. A float that jsonb would return as an integer becomes one.

    Raises:
        ValueError: no save could have written the value.
    """
    match value:
        case int() if not -MAX_INT - 1 <= value <= MAX_INT:
            return float(value)
        case float() if not math.isfinite(value):
            raise ValueError("it contains a number that a float cannot hold")
        case float() if value and _is_stored_as_another(value):
            return int(value)
        case list():
            _check_depth(value, depth)
            return [_restored(each, depth + 1) for each in value]
        case dict():
            _check_depth(value, depth)
            return {key: _restored(each, depth + 1) for key, each in value.items()}
    return value


def _check_depth(value: Any, depth: int) -> None:
    if is_too_deep(value, depth):
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


_SCALARS: Mapping[type, Callable[[Any, str], Any]] = {
    NoneType: lambda value, _: value,
    bool: lambda value, _: value,
    str: check_text,
    int: check_int,
}
