"""Make the plan of a write: measure new blobs, read the documents to copy, then plan once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from storekit.errors import StorekitError
from storekit.flows.context import Context
from storekit.flows.read.load import expired_or, fetch_bodies
from storekit.model.declare.entity import Entity
from storekit.model.save.change import Change
from storekit.model.save.changes import change_of
from storekit.model.save.memory import note_unchanged
from storekit.model.save.plan import Plan
from storekit.model.save.planner import make_plan
from storekit.model.table.fields import Expired
from storekit.model.table.table import Table
from storekit.trace import step

T = TypeVar("T")
_FEW = 20
"""Records without documents that can be planned faster than work can be handed to a thread (0.06 ms)."""


async def planned(context: Context, changes: Sequence[Change]) -> Plan:
    """Make the plan of some changes. One MongoDB read if a linked blob changes, else no trip.

    All content is read and checked before the write is staged, so that an unreadable file costs no trip and
    leaves no parts to remove.
    """
    if any(change.blobs for change in changes):
        await _measure(context, changes)
    # only after measuring is it known which blobs change, and so which documents must be written again
    if any(change.stored and (change.blobs or change.emptied) for change in changes):
        await _read_copies(context, changes)
    long = takes_long([change.table for change in changes])
    return await off_loop(context, lambda: make_plan(changes), long=long)


async def changes_of(
    context: Context, entities: Sequence[Entity], expected_version: int | None = None
) -> list[Change]:
    """Compare objects with what was loaded or saved.

    Raises:
        ValidationError, UsageError: an object cannot be stored; `.index` is its position.
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

    return await off_loop(context, work, long=takes_long([entity.storekit_table for entity in entities]))


async def off_loop(context: Context, work: Callable[[], T], *, long: bool) -> T:
    """Run `work`, in a thread if it may block the event loop for long (a batch, a large document)."""
    return await context.ports.runtime.blocking(work) if long else work()


def takes_long(tables: Sequence[Table]) -> bool:
    """Return whether records of these tables, one each, may hold up the event loop."""
    return len(tables) > _FEW or any(map(documents_of, tables))


def documents_of(table: Table) -> list[str]:
    """List the fields of a table that are documents."""
    return [part.name for part in table.parts.values() if part.kind == "document"]


async def _measure(context: Context, changes: Sequence[Change]) -> None:
    """Read new blobs once for their size and hash, which the staged rows and the signed uploads contain."""

    def work() -> None:
        for change in changes:
            try:
                _measure_one(change)
            except StorekitError as error:
                if len(changes) > 1 or change.place:
                    error.at(change.place)
                raise

    blobs = [blob for change in changes for blob in change.blobs.values()]
    with step("local.measure"):
        # for one small blob in memory, starting a thread costs as much as the work
        await off_loop(context, work, long=len(blobs) > 1 or not blobs[0].cheap)


def _measure_one(change: Change) -> None:
    """Measure the blobs of one change, and drop those that equal the stored ones."""
    for name, blob in list(change.blobs.items()):
        content, stored = change.measure(name), change.stored.get(name)
        if stored is None or not content.equals(stored):
            change.contents[name] = content
            continue
        del change.blobs[name]
        if change.holder is not None:
            change.expected_version = change.holder.version  # an upsert now depends on the stored content
            note_unchanged(change.holder, name, blob, stored)


async def _read_copies(context: Context, changes: Sequence[Change]) -> None:
    """Read the documents that must be written again because a blob that they link changes."""
    wanted = [
        (change, name, change.stored[name]) for change in changes for name in change.documents_to_copy()
    ]
    bodies = await fetch_bodies(context, [part for _, _, part in wanted])
    for change, name, part in wanted:
        body = expired_or(part, bodies.get(part.part_id))
        if not isinstance(body, Expired):
            change.copied[name] = body
