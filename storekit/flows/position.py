"""Cursors of other systems: where one of them is."""

from __future__ import annotations

from storekit.flows import calls
from storekit.flows.context import Actor, Ports
from storekit.flows.load import matching
from storekit.model.load import entity_from
from storekit.model.position import Position


async def read(ports: Ports, actor: Actor, name: str) -> Position:
    """Read a cursor's record; a new one if it was never moved. One trip."""
    statement = matching(Position.storekit_table, ["name"], [(name,)])
    (rows,) = await calls.read(ports, actor, [statement])
    return entity_from(Position, rows[0]) if rows else Position(name=name)
