"""Read reports, which are views over all tenants."""

from __future__ import annotations

from typing import Any

from storekit.errors import UsageError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.model.values.limits import check_text
from storekit.ports.statements import Report


async def report(context: Context, name: str) -> list[dict[str, Any]]:
    """Read a report; the database records an event of who read it. One Postgres trip."""
    if not isinstance(name, str):
        raise UsageError(f"the name of a report must be str, not {type(name).__name__}")
    rows: list[dict[str, Any]]
    (rows,) = await calls.read(context, [Report(check_text(name, "report"), context.actor.name)])
    return rows
