"""Leads for tests of lists: many of them have equal values in each column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.support.entities import Lead, Stage

DUE = datetime(2026, 1, 1, tzinfo=UTC)


def lead(i: int) -> Lead:
    """Return the i-th lead."""
    return Lead(
        number=f"{i:03}",
        team=[None, "a", "b"][i % 3],
        score=i % 4,
        due=None if i % 5 == 0 else DUE + timedelta(days=i % 7),
        email=None if i % 2 else f"{i * 7 % 1000:03}@example.org",
        stage=list(Stage)[i % 3],
        worth=Decimal(i % 6) / 4,
    )
