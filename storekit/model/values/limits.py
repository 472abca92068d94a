"""Limits that every stored value obeys, whichever store it goes to."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

from storekit.errors import UsageError, ValidationError

MAX_INT = 2**63 - 1
MAX_DEPTH = 64


def check_text(text: str, where: str) -> str:
    """Refuse what one of the stores refuses: U+0000 and lone surrogates."""
    if "\0" in text:
        raise ValidationError("it holds U+0000, which Postgres cannot store", field=where)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValidationError(
                "it holds a lone surrogate, which UTF-8 cannot carry", field=where
            ) from error
    return text


def check_int(number: int, where: str) -> int:
    """Refuse integers beyond 64 bits."""
    if not -MAX_INT - 1 <= number <= MAX_INT:
        raise ValidationError("the integer is beyond 64 bits; use Decimal or str", field=where)
    return number


def check_length(text: str, most: int, where: str) -> str:
    """Refuse a text that every event would carry on."""
    if len(text) > most:
        raise ValidationError(f"it has {len(text)} characters, at most {most} will do", field=where)
    return text


def check_version(version: int | None) -> int | None:
    """Refuse what no version can be compared with."""
    if version is None:
        return None
    if isinstance(version, bool) or not isinstance(version, int):
        raise ValidationError(f"it must be int, not {type(version).__name__}", field="expected_version")
    return check_int(version, "expected_version")


def check_limit(limit: int, most: int) -> None:
    """Refuse what is no number of things to answer."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= most:
        raise UsageError(f"limit is {limit!r:.40}; it must be from 1 to {most}")


def check_float(number: float, where: str) -> float:
    """Refuse NaN and the infinities."""
    if not math.isfinite(number):
        raise ValidationError(f"{number} is not a finite number", field=where)
    return number


def check_decimal(number: Decimal, where: str) -> Decimal:
    """Refuse NaN and the infinities."""
    if not number.is_finite():
        raise ValidationError(f"{number} is not a finite number", field=where)
    return number


def to_utc(moment: datetime, where: str) -> datetime:
    """Take an aware time to UTC; its year must stay between 1 and 9999."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValidationError("the time has no zone; use an aware datetime", field=where)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValidationError("the time is outside the years 1 to 9999 in UTC", field=where) from error
