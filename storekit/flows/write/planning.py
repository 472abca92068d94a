"""From changes to a plan: new content is measured, and what must be written afresh is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from storekit.errors import StorekitError
from storekit.flows.context import Context
from storekit.flows.read.load import expired_or, fetch_bodies
from storekit.model.declare.entity import Entity, memory_of
from storekit.model.save.changes import Change, change_of
from storekit.model.save.plan import Plan
from storekit.model.save.planner import Key, drop_unchanged, make_plan
from storekit.model.table.fields import Expired
from storekit.model.table.table import Table
from storekit.model.values.source import MeasuredSource
from storekit.trace import step

T = TypeVar("T")
_FEW = 20
"""Records without documents whose plan is made in less time than a thread takes."""


async def changes_of(
    context: Context, entities: Sequence[Entity], expected_version: int | None = None
) -> list[Change]:
    """Compare entities with what was loaded or saved.

    Raises:
        ValidationError, UsageError: what cannot be stored; `.index` tells whose it is.
    """

    def work() -> list[Change]:
        return [change_at(entity, i) for i, entity in enumerate(entities)]

    def change_at(entity: Entity, i: int) -> Change:
        try:
            change = change_of(entity, context.actor.tenant, expected_version)
        except StorekitError as error:
            if len(entities) > 1:
                error.at(i)
            raise
        change.place = i
        return change

    return await off_loop(context, work, long=_takes_long([entity.storekit_table for entity in entities]))


async def planned(context: Context, changes: Sequence[Change]) -> Plan:
    """Make the plan of some changes. A read of MongoDB when a linked blob changes, else no trip."""
    measured = await _measure(context, changes)
    for change in changes:
        if change.holder is not None:
            # what is stored already is known from now on, though its file may go
            memory_of(change.holder).blobs.update(drop_unchanged(change, measured))
    bodies = await _relinked(context, changes)
    long = _takes_long([change.table for change in changes])
    return await off_loop(context, lambda: make_plan(changes, measured, bodies), long=long)


async def off_loop(context: Context, work: Callable[[], T], *, long: bool) -> T:
    """Keep what may take long, a batch or a document of megabytes, off the event loop."""
    return await context.ports.runtime.blocking(work) if long else work()


def documents_of(table: Table) -> list[str]:
    """Name the fields of a table that are documents."""
    return [part.name for part in table.parts.values() if part.kind == "document"]


def _takes_long(tables: Sequence[Table]) -> bool:
    return len(tables) > _FEW or any(map(documents_of, tables))


async def _measure(context: Context, changes: Sequence[Change]) -> dict[Key, MeasuredSource]:
    """Read new content once for its size and hash, before any byte leaves."""
    blobs = [(c, name, blob) for c in changes for name, blob in c.blobs.items()]
    if not blobs:
        return {}

    def work() -> dict[Key, MeasuredSource]:
        found: dict[Key, MeasuredSource] = {}
        for change, name, blob in blobs:
            try:
                found[change.ref_id, name] = blob.measure(change.where(name))
            except StorekitError as error:
                if len(changes) > 1 or change.place:
                    error.at(change.place)
                raise
        return found

    with step("local.measure"):
        if len(blobs) == 1 and blobs[0][-1].cheap:
            return work()  # a hop to a thread costs as much
        return await context.ports.runtime.blocking(work)


async def _relinked(context: Context, changes: Sequence[Change]) -> dict[Key, Any]:
    """Read the documents that must be written afresh because a blob they link changes."""
    wanted = [(c.ref_id, name, c.table.parts[name], c.stored[name]) for c in changes for name in c.relinked()]
    if not wanted:
        return {}
    bodies = await fetch_bodies(context, [(spec, part) for _, _, spec, part in wanted])
    found = {(ref_id, name): expired_or(part, bodies.get(part.part_id)) for ref_id, name, _, part in wanted}
    return {key: body for key, body in found.items() if not isinstance(body, Expired)}
