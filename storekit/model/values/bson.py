"""Document bodies on their way to MongoDB: values BSON can hold, their size, and their canonical hash.

Values are made what BSON keeps (UTC cut to milliseconds, Decimal of at most 34 digits) BEFORE hashing, so
that the hash of a body read back is the hash of the body saved. No BSON library is needed for that.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring_ascii
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from storekit.errors import ValidationError
from storekit.model.values.limits import MAX_DEPTH, check_decimal, check_float, check_int, check_text, to_utc

MAX_BYTES = 15 * 1024 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_EXPONENT, _MAX_EXPONENT, _MAX_DIGITS = -6176, 6111, 34

Body = dict[str, Any]
_quoted = encode_basestring_ascii


def encode_body(value: Any, where: str) -> tuple[Body, int]:
    """Make a document body of BSON's values; answer it with its size as BSON, in bytes.

    Raises:
        ValidationError: a value or key that a document cannot hold, over 15 MB, nested deeper than 64.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(by_alias=True, round_trip=True)
    if not isinstance(value, dict):
        raise ValidationError(
            f"a document must be a model or a dict, not {type(value).__name__}", field=where
        )
    walk = _Walk(where)
    body: Body = walk.value(value, 1)
    if walk.size > MAX_BYTES:
        raise ValidationError(f"the document has {walk.size} bytes, the limit is {MAX_BYTES}", field=where)
    return body, walk.size


def body_hash(body: Body) -> bytes:
    """Hash a body: SHA-256 of its canonical extended JSON with sorted keys."""
    return hashlib.sha256(_canonical(body).encode()).digest()


class _Walk:
    """One pass over a body: checks, converts and adds up its BSON size."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.size = 0

    def value(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValidationError(f"it is nested deeper than {MAX_DEPTH}", field=self.where)
        if isinstance(value, dict):
            return self._dict(value, depth)
        if isinstance(value, list | tuple):
            self.size += 5 + sum(2 + len(str(i)) for i in range(len(value)))
            return [self.value(each, depth + 1) for each in value]
        if isinstance(value, BaseModel):
            return self.value(value.model_dump(by_alias=True, round_trip=True), depth)
        return self._scalar(value.value if isinstance(value, Enum) else value)

    def _dict(self, value: dict[Any, Any], depth: int) -> Body:
        self.size += 5
        body = {}
        for key, each in value.items():
            self.size += 2 + len(self._key(key).encode())
            body[str(key)] = self.value(each, depth + 1)
        return body

    def _key(self, key: Any) -> str:
        if not isinstance(key, str) or not key or "." in key or key.startswith("$"):
            message = f"a document's key must be a str, not empty, without '.' and leading '$', not {key!r}"
            raise ValidationError(message, field=self.where)
        return check_text(key, self.where)

    def _scalar(self, value: Any) -> Any:
        for kind, (convert, size) in _SCALARS.items():
            if isinstance(value, kind):
                made = convert(value, self.where)
                self.size += size(made)
                return made
        raise ValidationError(f"a document cannot hold {type(value).__name__}", field=self.where)


def _decimal128(number: Decimal, where: str) -> Decimal:
    exponent = check_decimal(number, where).as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 finite, so it is one
    if len(number.as_tuple().digits) > _MAX_DIGITS or not _MIN_EXPONENT <= exponent <= _MAX_EXPONENT:
        message = f"a document's Decimal has at most {_MAX_DIGITS} digits and a modest exponent"
        raise ValidationError(message, field=where)
    return number


def _to_milliseconds(moment: datetime, where: str) -> datetime:
    moment = to_utc(moment, where)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _text_size(text: str) -> int:
    return 5 + len(text.encode())


# in this order: bool is an int and datetime a date
_SCALARS: Mapping[type, tuple[Callable[[Any, str], Any], Callable[[Any], int]]] = {
    NoneType: (lambda value, _: value, lambda _: 0),
    bool: (lambda value, _: value, lambda _: 1),
    str: (lambda value, where: check_text(str(value), where), _text_size),
    int: (lambda value, where: check_int(int(value), where), lambda n: 4 if -(2**31) <= n < 2**31 else 8),
    float: (check_float, lambda _: 8),
    Decimal: (_decimal128, lambda _: 16),
    datetime: (_to_milliseconds, lambda _: 8),
    date: (lambda value, _: value.isoformat(), _text_size),
    UUID: (lambda value, _: value, lambda _: 21),
    bytes: (lambda value, _: bytes(value), lambda content: 5 + len(content)),
}


def _canonical(value: Any) -> str:
    """Write a value as text piece by piece: `json.dumps` would hold all other threads up until its end."""
    match value:
        case dict():
            return "{" + ",".join([f"{_quoted(key)}:{_canonical(value[key])}" for key in sorted(value)]) + "}"
        case list():
            return "[" + ",".join([_canonical(each) for each in value]) + "]"
        case str():
            return _quoted(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return _tagged("numberInt" if -(2**31) <= value < 2**31 else "numberLong", str(value))
        case float():
            return _tagged("numberDouble", repr(value))
        case Decimal():
            return _tagged("numberDecimal", str(value))
        case datetime():
            return '{"$date":' + _tagged("numberLong", str(_milliseconds(value))) + "}"
        case UUID():
            return _binary(value.bytes, "04")
    return _binary(bytes(value), "00")


def _tagged(kind: str, text: str) -> str:
    return f'{{"${kind}":"{text}"}}'


def _milliseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def _binary(content: bytes, subtype: str) -> str:
    encoded = base64.b64encode(content).decode()
    return f'{{"$binary":{{"base64":"{encoded}","subType":"{subtype}"}}}}'
