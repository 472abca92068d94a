"""Check column values and encode them as JSON for Postgres, without loss.

A write sends the columns of a record as one JSON object, which the database casts to their types. So each
value must be unchanged by jsonb, in which numbers are numeric and text cannot contain U+0000. Encoded values
are also compared: a save writes the columns whose encoded value has changed.

A value is refused unless a read returns it with the same class. For columns of other types than jsonb the
class of the value decides that alone, so only jsonb needs a look at what would be read (`json_values`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from storekit.errors import ValidationError
from storekit.errors.shown import shown
from storekit.model.table.table import Column, Table
from storekit.model.values import json_values
from storekit.model.values.equal import json_equal
from storekit.model.values.limits import (
    MAX_COLUMN,
    check_decimal,
    check_float,
    check_int,
    check_size,
    check_text,
    to_utc,
)

_MAX_DIGITS = 16383
"""Digits after the decimal point that numeric can store; before the point it can store 131072."""


def encode_column(column: Column, value: Any, where: str) -> Any:
    """Check a value against its column and return it as JSON.

    Raises:
        ValidationError: the value has another type or is too large, Postgres cannot store it, or it would be
            read as another value.
    """
    encoded = _encode(column, value, where)
    if isinstance(encoded, str):
        if len(encoded) > MAX_COLUMN // 4:  # a character has at most four bytes
            check_size(len(encoded.encode()), where)
    elif isinstance(encoded, list | dict):
        check_size(len(to_json(encoded)), where)
    return encoded


def _encode(column: Column, value: Any, where: str) -> Any:
    if value is None:
        return _empty(column, where)
    if column.enum is not None:
        if type(value) is not column.enum:
            name = column.enum.__name__
            raise ValidationError(f"it must be a member of {name}, not {type(value).__name__}", field=where)
        return str(value.value)
    if column.adapter is not None:
        return (
            json_values.encode_exact(value, where)
            if column.free
            else json_values.encode_checked(column.adapter, value, where)
        )
    return _ENCODERS[column.sql](value, where)


def encode_operand(column: Column, value: Any, where: str) -> Any:
    """Encode a value that a column is compared with: members of enums compare as their value does.

    Raises:
        ValidationError: as `encode_column`, except that the value may be of another class if it is equal.
    """
    if value is None:
        return _empty(column, where)
    if column.adapter is not None:
        operand = json_values.encode_operand(column.adapter, value, where)
        check_size(len(to_json(operand)), where)
        return operand
    if column.enum is None:
        return encode_column(column, _plain(value), where)
    try:
        return column.enum(value).value
    except ValueError as error:
        known = ", ".join(member.value for member in column.enum)
        raise ValidationError(f"{shown(value)} is not one of {known}", field=where) from error


def encode_stored(column: Column, value: Any, where: str) -> Any:
    """Encode a value that was read from the column, without checking whether it would be read again."""
    if value is None:
        return _empty(column, where)
    if column.adapter is not None:
        return json_values.encode_declared(column.adapter, value, where)
    return _encode(column, value, where)  # hand-written SQL may have stored a larger value


def changed(column: Column, encoded: Any, stored: Any) -> bool:
    """Return whether an encoded value differs from the stored one."""
    return not json_equal(encoded, stored) if column.adapter is not None else bool(encoded != stored)


def _empty(column: Column, where: str) -> None:
    if not column.nullable:
        raise ValidationError("a value is required", field=where)


def _plain(value: Any) -> Any:
    """Convert a value of a subclass of str or int, such as a member of an enum, to str or int."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return str.__str__(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _of(kind: type | tuple[type, ...], value: Any, where: str) -> Any:
    # not a subclass: a read returns the class itself, and True in a bigint column is a mistake
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if type(value) not in kinds:
        names = " or ".join(each.__name__ for each in kinds)
        raise ValidationError(f"it must be {names}, not {type(value).__name__}", field=where)
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
    # as numeric returns it: without an exponent, and zero without a sign
    assert isinstance(exponent, int)  # noqa: S101 an integer, as the number is finite
    return format(number or Decimal((0, (0,), min(exponent, 0))), "f")


def _date(value: Any, where: str) -> str:
    day: date = _of(date, value, where)
    return day.isoformat()


def _time(value: Any, where: str) -> str:
    # of any class: like the zone, it is not part of the instant
    if not isinstance(value, datetime):
        raise ValidationError(f"it must be datetime, not {type(value).__name__}", field=where)
    return to_utc(value, where).isoformat()


def _float(value: Any, where: str) -> float | str:
    number = check_float(float(_of((float, int), value, where)), where)
    # jsonb stores numbers as numeric, which has no negative zero; a negative zero is sent as text instead
    return "-0" if number == 0 and math.copysign(1, number) < 0 else number


def _array(item: Callable[[Any, str], Any]) -> Callable[[Any, str], list[Any]]:
    def encode(value: Any, where: str) -> list[Any]:
        return [item(each, where) for each in _of(list, value, where)]

    return encode


def _text(value: Any, where: str) -> str:
    return check_text(_of(str, value, where), where)


def _int(value: Any, where: str) -> int:
    return check_int(_of(int, value, where), where)


def decode_column(column: Column, value: Any) -> Any:
    """Convert a value that Postgres returned to the type that the class declares."""
    if value is None:
        return None
    if column.enum is not None:
        return column.enum(value)
    return value if column.adapter is None else json_values.decode_json(column.adapter, value)


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
        field: encode_stored(column, decode_column(column, row[field]), field) if column else str(row[field])
        for field, column in zip(fields, columns, strict=True)
    }
    return key_of(table, fields, encoded)


_ENCODERS: Mapping[str, Callable[[Any, str], Any]] = {
    "text": _text,
    "bigint": _int,
    "double precision": _float,
    "numeric": _decimal,
    "boolean": lambda value, where: _of(bool, value, where),
    "uuid": lambda value, where: str(_of(UUID, value, where)),
    "timestamptz": _time,
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
