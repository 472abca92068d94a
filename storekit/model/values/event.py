"""An entry in the history of a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one record, as `history` returns it.

    >>> from datetime import UTC
    >>> on = datetime(2026, 1, 31, tzinfo=UTC)
    >>> event = Event("notes.updated", 2, on, "ada", None, before={"title": "a"}, after={"title": "b"})
    >>> event.after
    {'title': 'b'}

    Attributes:
        type: table and change, such as "notes.created".
        version: version of the record after the change.
        on: time at which the transaction of the change began. Of two events, the one with the later time may
            have been committed first.
        by: actor of the scope that made the change.
        reason: the reason that was passed, for example to `transition`, or None.
        before: changed columns with their old values, as JSON (fractions as Decimal); None if the record was
            created.
        after: changed columns with their new values; None if the record was removed.
        on_behalf_of: the person or system for whom the actor acted, as the scope named it, or None.
        context: the facts about the request that the scope has, or None.
    """

    type: str
    version: int
    on: datetime
    by: str
    reason: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    on_behalf_of: str | None = None
    context: Mapping[str, Any] | None = None
