"""Read the events of a record."""

from __future__ import annotations

from storekit.errors import NotFound
from storekit.flows.calls import read
from storekit.flows.context import Context
from storekit.flows.read.load import checked
from storekit.model.table.table import Table
from storekit.model.values.event import Event
from storekit.model.values.limits import check_limit
from storekit.ports.statements import Events

LONGEST = 1000


async def history(context: Context, table: Table, ref_id: str, limit: int = LONGEST) -> list[Event]:
    """Return the newest `limit` events of a record, oldest first. The record may be deleted. One trip."""
    checked([ref_id])
    check_limit(limit, LONGEST)
    (rows,) = await read(context, [Events(table.name, ref_id, limit)])
    if not rows:
        raise NotFound(table.name, ref_id)
    return [
        Event(
            row["type"],
            row["version"],
            row["occurred_on"],
            row["actor"],
            row["reason"],
            row["before"],
            row["after"],
            row["on_behalf_of"],
            row["context"],
        )
        for row in reversed(rows)
    ]
