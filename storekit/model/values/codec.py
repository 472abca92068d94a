"""Check column values and encode them as JSON for Postgres, without loss.

A write sends the columns of a record as one JSON object, which the database casts to their types. So each
value must be unchanged by jsonb, in which numbers are numeric and text cannot contain U+0000. Encoded values
are also compared: a save writes the columns whose encoded value has changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from storekit.errors import ValidationError
from storekit.model.table.table import Column, Table
from storekit.model.values.limits import (
    MAX_DEPTH,
    MAX_INT,
    check_decimal,
    check_float,
    check_int,
    check_text,
    to_utc,
)

_MAX_DIGITS = 16383
"""Digits after the decimal point that numeric can store; before the point it can store 131072."""


def encode_column(column: Column, value: Any, where: str) -> Any:
    """Check a value against its column and return it as JSON.

    Raises:
        ValidationError: the value has another type, or Postgres cannot store it.
    """
    if value is None:
        if not column.nullable:
            raise ValidationError("a value is required", field=where)
        return None
    if column.enum is not None:
        return _enum(column, value, where)
    if column.adapter is not None:
        return _json_column(column.adapter, value, where)
    return _ENCODERS[column.sql](value, where)


def _enum(column: Column, value: Any, where: str) -> str:
    assert column.enum is not None  # noqa: S101 for the type checker
    try:
        return column.enum(value).value
    except ValueError as error:
        known = ", ".join(member.value for member in column.enum)
        raise ValidationError(f"{value!r} is not one of {known}", field=where) from error


def _of(kind: type | tuple[type, ...], value: Any, where: str) -> Any:
    # bool is a subclass of int, but True in a bigint column is a mistake
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        name = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
        raise ValidationError(f"it must be {name}, not {type(value).__name__}", field=where)
    return value


def _decimal(value: Any, where: str) -> str:
    number = check_decimal(_of(Decimal, value, where), where)
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and (-exponent > _MAX_DIGITS or number.adjusted() >= 131072):
        raise ValidationError(
            f"the number has more digits than numeric can store: 131072 before the decimal point, "
            f"{_MAX_DIGITS} after it",
            field=where,
        )
    return str(number)


def _date(value: Any, where: str) -> str:
    if isinstance(value, datetime):  # datetime is a subclass of date, and its time would be lost
        raise ValidationError("it must be date, not datetime", field=where)
    moment: date = _of(date, value, where)
    return moment.isoformat()


def _float(value: Any, where: str) -> float | str:
    number = check_float(float(_of((float, int), value, where)), where)
    # jsonb stores numbers as numeric, which has no negative zero; a negative zero is sent as text instead
    return "-0" if number == 0 and math.copysign(1, number) < 0 else number


def _array(item: Callable[[Any, str], Any]) -> Callable[[Any, str], list[Any]]:
    def encode(value: Any, where: str) -> list[Any]:
        return [item(each, where) for each in _of(list, value, where)]

    return encode


def _text(value: Any, where: str) -> str:
    # str() and int() turn members of enums and other subclasses into plain values, as a read returns them
    return check_text(str(_of(str, value, where)), where)


def _int(value: Any, where: str) -> int:
    return check_int(int(_of(int, value, where)), where)


def _json_column(adapter: TypeAdapter[Any], value: Any, where: str) -> Any:
    """Encode the value of a jsonb column.

    The encoded value is decoded and compared with the original: NaN, or a datetime in a field of type Any,
    would be read as a different value.
    """
    try:
        valid = adapter.validate_python(value)
        plain = adapter.dump_python(valid, mode="json", by_alias=True)
        faithful = adapter.dump_python(adapter.validate_python(plain)) == adapter.dump_python(valid)
    except ValueError as error:
        raise ValidationError(f"it is not a valid JSON value: {error}", field=where) from error
    if not faithful:
        raise ValidationError(
            "the value would be different when it is read back from JSON; declare a more precise type",
            field=where,
        )
    return encode_json(plain, where)


def encode_json(value: Any, where: str, depth: int = 1) -> Any:
    """Check and copy a JSON value.

    Raises:
        ValidationError: the value contains a type that JSON does not have, or a text or number that Postgres
            cannot store.
    """
    if depth > MAX_DEPTH:
        raise ValidationError(f"it is nested deeper than {MAX_DEPTH} levels", field=where)
    match value:
        case None | bool():
            return value
        case str():
            return check_text(str(value), where)
        case int():
            return check_int(int(value), where)
        case float():
            return check_float(value, where)
        case list() | tuple():
            return [encode_json(each, where, depth + 1) for each in value]
        case dict():
            return {_key(k, where): encode_json(v, where, depth + 1) for k, v in value.items()}
    raise ValidationError(f"{type(value).__name__} is not a JSON value; use a BaseModel or str", field=where)


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise ValidationError(f"a JSON key must be str, not {type(key).__name__}", field=where)
    return check_text(key, where)


def decode_column(column: Column, value: Any) -> Any:
    """Convert a value that Postgres returned to the type that the class declares."""
    if value is None:
        return None
    if column.enum is not None:
        return column.enum(value)
    return value if column.adapter is None else column.adapter.validate_python(_restored(value))


def parse(sql: str, encoded: Any) -> Any:
    """Convert an encoded value to what Postgres returns for a column of this SQL type."""
    return encoded if encoded is None or sql not in _PARSERS else _PARSERS[sql](encoded)


def comparable(value: Any, sql: str) -> Any:
    """Convert an encoded value so that values that are equal in Postgres are equal in Python.

    >>> comparable("1.0", "numeric") == comparable("1.00", "numeric")
    True
    """
    if value is None:
        return None
    match sql:
        case "numeric":
            return Decimal(value)
        case "double precision":
            return float(value)
    return value


def key_of(table: Table, fields: Sequence[str], encoded: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of some columns as a key: two rows have the same key if Postgres finds them equal."""
    kinds = dict(table.types)
    return tuple(comparable(encoded.get(field), kinds[field]) for field in fields)


def key_of_row(table: Table, fields: Sequence[str], row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the key of a row that Postgres returned, in the form of `key_of`."""
    columns = [table.columns.get(field) for field in fields]
    encoded = {
        field: encode_column(column, decode_column(column, row[field]), field) if column else str(row[field])
        for field, column in zip(fields, columns, strict=True)
    }
    return key_of(table, fields, encoded)


def _restored(value: Any) -> Any:
    """Convert integers beyond 64 bits to float.

    jsonb returns a float such as 1e20 without a decimal point. A saved integer has at most 64 bits, so a
    longer one was a float.
    """
    match value:
        case int() if not -MAX_INT - 1 <= value <= MAX_INT:
            return float(value)
        case float() if not math.isfinite(value):
            raise ValueError("it contains a number that a float cannot hold")
        case list():
            return [_restored(each) for each in value]
        case dict():
            return {key: _restored(each) for key, each in value.items()}
    return value


_ENCODERS: Mapping[str, Callable[[Any, str], Any]] = {
    "text": _text,
    "bigint": _int,
    "double precision": _float,
    "numeric": _decimal,
    "boolean": lambda value, where: _of(bool, value, where),
    "uuid": lambda value, where: str(_of(UUID, value, where)),
    "timestamptz": lambda value, where: to_utc(_of(datetime, value, where), where).isoformat(),
    "date": _date,
    "text[]": _array(_text),
    "bigint[]": _array(_int),
    "double precision[]": _array(_float),
}
_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "uuid": UUID,
    "timestamptz": datetime.fromisoformat,
    "date": date.fromisoformat,
    "numeric": Decimal,
    "double precision": float,
    "double precision[]": lambda items: [float(item) for item in items],
}
