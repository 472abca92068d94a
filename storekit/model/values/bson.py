"""Convert document bodies to BSON's types; compute their size and their canonical hash.

Values are converted to what BSON stores (UTC cut to milliseconds, Decimal of at most 34 digits) BEFORE they
are hashed. Therefore a body that is read has the hash of the body that was saved, and a read can detect any
change. Size and hash are computed without a BSON library, because the model imports no client libraries, and
a document that is too large must be rejected before anything is sent.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from storekit.errors import ValidationError
from storekit.errors.shown import shown
from storekit.model.values.limits import check_decimal, check_float, check_int, check_text, to_utc
from storekit.model.values.walk import Scalar, Walk, walk_declared

MAX_BYTES = 15 * 1024 * 1024
"""MongoDB allows 16 MiB. The rest is for the fields that storekit adds to the body, and for inexact
estimates."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_EXPONENT, _MAX_EXPONENT, _MAX_DIGITS = -6176, 6111, 34
"""Limits of Decimal128, BSON's type for decimal numbers."""

# One pattern, without a call for each key: a document has many of them.
_KEY = re.compile("[^$.\0\ud800-\udfff][^.\0\ud800-\udfff]*").fullmatch

Body = dict[str, Any]
_quoted = encode_basestring_ascii


def encode_body(value: Any, where: str) -> tuple[Body, int]:
    """Return a dict of BSON's types as a body, and its size as BSON in bytes.

    Raises:
        ValidationError: the document contains a value or key that BSON would not return as it is, is larger
            than 15 MiB or nested deeper than 64 levels.
    """
    walk = _Walk(where, exact=True)
    return _checked(walk.value(value), walk)


def encode_declared(adapter: TypeAdapter[Any], value: Any, where: str) -> tuple[Body, int]:
    """Return a document of a declared type as a body, and its size as BSON in bytes.

    Raises:
        ValidationError: as `encode_body`, or a serializer failed.
    """
    return _checked(*walk_declared(adapter, value, lambda: _Walk(where, exact=False)))


def _checked(body: Any, walk: Walk) -> tuple[Body, int]:
    assert isinstance(walk, _Walk)  # noqa: S101 for the type checker
    if not isinstance(body, dict):
        raise ValidationError("a document must be a model or a dict", field=walk.where)
    if walk.size > MAX_BYTES:
        raise ValidationError(
            f"the document has {walk.size} bytes; the limit is {MAX_BYTES}", field=walk.where
        )
    return body, walk.size


def body_hash(body: Body) -> bytes:
    """Return the SHA-256 of a body's canonical extended JSON with sorted keys."""
    return hashlib.sha256(_canonical(body).encode()).digest()


class _Walk(Walk):
    """Checks and converts a body in one pass, and adds up its size as BSON."""

    what = "a value of a document"

    def __init__(self, where: str, *, exact: bool) -> None:
        super().__init__(where, exact=exact)
        self.size = 0
        # a date is stored as text, so a reader needs the declared type to get a date
        self.scalars = _EXACT if exact else _SCALARS

    def value(self, value: Any, depth: int = 1) -> Any:
        made = super().value(value, depth)
        if type(value) in self.scalars:
            self.size += _SIZES[type(made)](made)
        return made

    def mapping(self, value: Mapping[Any, Any], depth: int) -> Body:
        body = super().mapping(value, depth)
        self.size += 5 + sum(2 + len(key.encode()) for key in body)
        return body

    def items(self, value: Any, depth: int) -> list[Any]:
        # BSON stores an array as a document whose keys are "0", "1", ...: 4 bytes of length and a final
        # zero, then for each item a type byte, the key and its zero
        self.size += 5 + sum(2 + len(str(i)) for i in range(len(value)))
        return super().items(value, depth)

    def key(self, key: Any) -> str:
        text = super().key(key)
        if not text or "." in text or text.startswith("$"):
            message = (
                "a key of a document must be a non-empty str that has no '.' and does not start with '$'; "
                f"got {shown(text)}"
            )
            raise ValidationError(message, field=self.where)
        return text


def _decimal128(number: Decimal, where: str) -> Decimal:
    exponent = check_decimal(number, where).as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 an integer, as the number is finite
    if len(number.as_tuple().digits) > _MAX_DIGITS or not _MIN_EXPONENT <= exponent <= _MAX_EXPONENT:
        message = (
            f"a Decimal in a document may have at most {_MAX_DIGITS} digits and an exponent from "
            f"{_MIN_EXPONENT} to {_MAX_EXPONENT}"
        )
        raise ValidationError(message, field=where)
    return number


def _to_milliseconds(moment: datetime, where: str) -> datetime:
    moment = to_utc(moment, where)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


_SCALARS: Mapping[type, Scalar] = {
    NoneType: lambda value, _: value,
    bool: lambda value, _: value,
    str: check_text,
    int: check_int,
    float: check_float,
    Decimal: _decimal128,
    datetime: _to_milliseconds,
    date: lambda value, _: value.isoformat(),
    UUID: lambda value, _: value,
    bytes: lambda value, _: value,
}
_EXACT: Mapping[type, Scalar] = {kind: scalar for kind, scalar in _SCALARS.items() if kind is not date}
# Sizes follow the BSON specification, without the type byte and key that the container adds; text has 4 bytes
# of length and a zero.
_SIZES: Mapping[type, Callable[[Any], int]] = {
    NoneType: lambda _: 0,
    bool: lambda _: 1,
    str: lambda text: 5 + (len(text) if text.isascii() else len(text.encode())),
    int: lambda number: 4 if -(2**31) <= number < 2**31 else 8,
    float: lambda _: 8,
    Decimal: lambda _: 16,
    datetime: lambda _: 8,
    UUID: lambda _: 21,
    bytes: lambda content: 5 + len(content),
}


def _canonical(value: Any) -> str:
    """Return a value as canonical extended JSON.

    Written in Python: `json.dumps` does not release the GIL until it has encoded the whole body, which would
    stop all other threads of the process.
    """
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
