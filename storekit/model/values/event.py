"""What happened to a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one record: who did what, when, and why if they said so.

    `before` and `after` hold the columns that changed, as JSON, numbers with a fraction as Decimal; at its
    creation a record has no before, at its removal no after.
    """

    type: str
    version: int
    on: datetime
    by: str
    reason: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
