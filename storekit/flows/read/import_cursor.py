"""Read an import cursor from the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.load import matching
from storekit.model.save.load import entity_from

if TYPE_CHECKING:
    from storekit.model.declare.import_cursor import Position


async def read(context: Context, name: str) -> Position:
    """Return a cursor's record; a new one if the cursor was never moved. One trip."""
    from storekit.model.declare.import_cursor import (
        Position,  # imported lazily: building the class takes a third of the time of `import storekit`
    )

    statement = matching(Position.storekit_table, ["name"], [(name,)])
    (rows,) = await calls.read(context, [statement])
    return entity_from(Position, rows[0]) if rows else Position(name=name)
