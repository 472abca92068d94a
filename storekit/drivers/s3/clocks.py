"""Compare the clock of the S3 server with another one: signatures are valid by the clock of S3 only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from storekit.drivers.s3.connections import Response

_AGREE = timedelta(minutes=1)
"""Clocks that differ by less do not explain a refusal: the header has whole seconds, and a response takes
time."""


def ahead(response: Response, expected: datetime) -> str:
    """Return how far S3's clock is ahead of the expected time, or behind it, as "3 days, 0:00:00 ahead of".

    Empty if the two agree, or if the response has no date.
    """
    try:
        found = parsedate_to_datetime(response.headers["Date"] or "").astimezone(UTC)
    except ValueError:
        return ""
    by = timedelta(seconds=round((found - expected).total_seconds()))
    if abs(by) < _AGREE:
        return ""
    return f"{abs(by)} {'ahead of' if by > timedelta() else 'behind'}"
