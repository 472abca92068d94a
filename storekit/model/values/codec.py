"""Column values on their way to Postgres: checked, and encoded as JSON that loses nothing."""

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
"""numeric's limit of digits after the point; before it the limit is 131072."""


def encode_column(column: Column, value: Any, where: str) -> Any:
    """Check one value against its column and make it JSON.

    Raises:
        ValidationError: wrong type, or a value that a store cannot hold.
    """
    if value is None:
        if not column.nullable:
            raise ValidationError("it is required", field=where)
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
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        name = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
        raise ValidationError(f"it must be {name}, not {type(value).__name__}", field=where)
    return value


def _decimal(value: Any, where: str) -> str:
    number = check_decimal(_of(Decimal, value, where), where)
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and (-exponent > _MAX_DIGITS or number.adjusted() >= 131072):
        raise ValidationError("the number has more digits than numeric can hold", field=where)
    return str(number)


def _date(value: Any, where: str) -> str:
    if isinstance(value, datetime):
        raise ValidationError("it must be date, not datetime", field=where)
    moment: date = _of(date, value, where)
    return moment.isoformat()


def _float(value: Any, where: str) -> float | str:
    number = check_float(float(_of((float, int), value, where)), where)
    # jsonb keeps numbers as numeric, which has no negative zero; as text it arrives
    return "-0" if number == 0 and math.copysign(1, number) < 0 else number


def _array(item: Callable[[Any, str], Any]) -> Callable[[Any, str], list[Any]]:
    def encode(value: Any, where: str) -> list[Any]:
        return [item(each, where) for each in _of(list, value, where)]

    return encode


def _text(value: Any, where: str) -> str:
    return check_text(str(_of(str, value, where)), where)


def _int(value: Any, where: str) -> int:
    return check_int(int(_of(int, value, where)), where)


def _json_column(adapter: TypeAdapter[Any], value: Any, where: str) -> Any:
    """Make a value JSON; one that would not come back as it is (NaN, a datetime in Any) is refused."""
    try:
        valid = adapter.validate_python(value)
        plain = adapter.dump_python(valid, mode="json", by_alias=True)
        faithful = adapter.dump_python(adapter.validate_python(plain)) == adapter.dump_python(valid)
    except ValueError as error:
        raise ValidationError(f"it is not a valid JSON value: {error}", field=where) from error
    if not faithful:
        raise ValidationError("it does not come back from JSON as it is; declare its types", field=where)
    return encode_json(plain, where)


def encode_json(value: Any, where: str, depth: int = 1) -> Any:
    """Check and copy a JSON value; what JSON has no word for is refused, not guessed at."""
    if depth > MAX_DEPTH:
        raise ValidationError(f"it is nested deeper than {MAX_DEPTH}", field=where)
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
    """Make a value as Postgres gave it what the class declares."""
    if value is None:
        return None
    if column.enum is not None:
        return column.enum(value)
    return value if column.adapter is None else column.adapter.validate_python(_restored(value))


def parse(sql: str, encoded: Any) -> Any:
    """Make an encoded value of a column of this SQL type what Postgres answers of it."""
    return encoded if encoded is None or sql not in _PARSERS else _PARSERS[sql](encoded)


def comparable(value: Any, sql: str) -> Any:
    """Make encoded values equal where Postgres finds them equal.

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
    """Make of some encoded columns what two rows have in common that Postgres finds equal there."""
    kinds = dict(table.types)
    return tuple(comparable(encoded.get(field), kinds[field]) for field in fields)


def key_of_row(table: Table, fields: Sequence[str], row: Mapping[str, Any]) -> tuple[Any, ...]:
    """As `key_of`, of a row as Postgres answered it."""
    columns = [table.columns.get(field) for field in fields]
    encoded = {
        field: encode_column(column, decode_column(column, row[field]), field) if column else str(row[field])
        for field, column in zip(fields, columns, strict=True)
    }
    return key_of(table, fields, encoded)


def _restored(value: Any) -> Any:
    """Give back the floats that jsonb writes without a point and no integer of ours can be."""
    match value:
        case int() if not -MAX_INT - 1 <= value <= MAX_INT:
            return float(value)
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
