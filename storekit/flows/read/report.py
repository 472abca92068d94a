"""Read reports, which are views over all tenants."""

from __future__ import annotations

from typing import Any

from storekit import ids
from storekit.errors import UsageError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.model.values.limits import check_text
from storekit.ports.statements import Report


async def report(context: Context, name: str) -> list[dict[str, Any]]:
    """Read a report; the database first records an event of who reads it. Two Postgres trips.

    The first trip commits the event. In one transaction the reader could roll it back and keep the rows.
    """
    if not isinstance(name, str):
        raise UsageError(f"the name of a report must be str, not {type(name).__name__}")
    statement = Report(check_text(name, "report"), context.actor.name, ids.new_ref_id())
    rows: list[dict[str, Any]]
    for _ in ("the event", "the rows"):
        (rows,) = await calls.read(context, [statement])
    return rows
