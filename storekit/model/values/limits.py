"""Limits that apply to stored values in all three stores."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from storekit.errors import UsageError, ValidationError

MAX_INT = 2**63 - 1
"""Largest integer of bigint in Postgres and of BSON."""
MAX_DEPTH = 64
"""Levels of nesting; MongoDB allows 100, and the body is nested in a document of its own."""

MAX_COLUMN = 16 * 1024 * 1024
"""Bytes of the value of one column: of a text in UTF-8, of a list or JSON value as JSON text."""


def check_size(size: int, where: str) -> None:
    """Raise ValidationError if the value of a column has too many bytes."""
    if size > MAX_COLUMN:
        raise ValidationError(
            f"it has {size} bytes; the limit of a column is {MAX_COLUMN}; store larger content in a blob",
            field=where,
        )


def is_too_deep(container: Any, depth: int) -> bool:
    """Return whether a list or dict at this level, or its items, are nested too deep."""
    return depth >= MAX_DEPTH and bool(container or depth > MAX_DEPTH)


def check_text(text: str, where: str) -> str:
    """Return the text, or raise ValidationError if it contains U+0000 or a lone surrogate."""
    if "\0" in text:
        raise ValidationError("it contains U+0000, which Postgres cannot store", field=where)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValidationError(
                "it contains a lone surrogate, which UTF-8 cannot encode", field=where
            ) from error
    return text


def check_int(number: int, where: str) -> int:
    """Return the number, or raise ValidationError if it does not fit into 64 bits."""
    if not -MAX_INT - 1 <= number <= MAX_INT:
        raise ValidationError("the integer does not fit into 64 bits; use Decimal or str", field=where)
    return number


def check_length(text: str, most: int, where: str) -> str:
    """Return the text, or raise ValidationError if it has more than `most` characters."""
    if len(text) > most:
        raise ValidationError(f"it has {len(text)} characters; the limit is {most}", field=where)
    return text


def check_version(version: int | None) -> int | None:
    """Return an expected version, or raise ValidationError if it is not an int of 64 bits or None."""
    if version is None:
        return None
    if isinstance(version, bool) or not isinstance(version, int):
        raise ValidationError(f"it must be int, not {type(version).__name__}", field="expected_version")
    return check_int(version, "expected_version")


def check_limit(limit: int, most: int) -> None:
    """Raise UsageError if the limit is not an int from 1 to `most`."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= most:
        raise UsageError(f"limit={limit!r:.40} must be an int from 1 to {most}")


def check_float(number: float, where: str) -> float:
    """Return the number, or raise ValidationError if it is NaN or infinite."""
    if not math.isfinite(number):
        raise ValidationError(f"{number} is not a finite number", field=where)
    return number


def check_decimal(number: Decimal, where: str) -> Decimal:
    """Return the number, or raise ValidationError if it is NaN or infinite."""
    if not number.is_finite():
        raise ValidationError(f"{number} is not a finite number", field=where)
    return number


def to_utc(moment: datetime, where: str) -> datetime:
    """Convert a time to UTC; raise ValidationError if it is naive or leaves the years 1 to 9999."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValidationError("the time has no time zone; use an aware datetime", field=where)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValidationError("the time is outside the years 1 to 9999 in UTC", field=where) from error
