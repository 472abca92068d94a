"""Update: some fields of records that need not be loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from storekit.errors import StorekitError, ValidationError
from storekit.flows.context import Context
from storekit.flows.read.load import checked, found_rows, get, whole_row
from storekit.flows.write.attempt import Committed, carry_out
from storekit.flows.write.attribution import blame
from storekit.flows.write.planning import documents_of, off_loop, planned
from storekit.model.declare.entity import Entity, memory_of
from storekit.model.save.changes import Change, change_from
from storekit.model.save.load import entity_from, visible
from storekit.model.values.limits import check_version

E = TypeVar("E", bound=Entity)


async def update(
    context: Context,
    entity: type[E],
    ref_id: str,
    values: Mapping[str, Any],
    expected_version: int | None = None,
) -> E:
    """Write some fields of a record and answer it.

    One Postgres trip, or two around one wave when parts are among them; one more, and a read of MongoDB,
    when a document links a blob that changes.
    """
    change = await change_in(context, entity, ref_id, values, expected_version)
    if change.empty:
        return await get(context, entity, ref_id)
    return (await _carry_out(context, entity, [change]))[0]


async def update_many(context: Context, entity: type[E], values: Mapping[str, Mapping[str, Any]]) -> list[E]:
    """Write some fields of many records, all or nothing; trips as of one."""
    if not isinstance(values, Mapping):
        raise ValidationError("it maps a ref_id to the fields to write there", field="values")
    changes: list[Change] = []
    for i, (ref_id, each) in enumerate(values.items()):
        try:
            changes.append(await change_in(context, entity, ref_id, each))
            changes[-1].place = i
        except StorekitError as error:
            error.at(i)
            raise
    return await _carry_out(context, entity, changes) if changes else []


async def change_in(
    context: Context,
    entity: type[Entity],
    ref_id: str,
    values: Mapping[str, Any],
    expected_version: int | None = None,
) -> Change:
    """Read a partial update. No trip.

    Raises:
        ValidationError, UsageError: what cannot be stored.
    """
    check_update(entity, ref_id, values, expected_version)
    long = any(values.get(name) is not None for name in documents_of(entity.storekit_table))
    change = await off_loop(context, lambda: change_from(entity, ref_id, values), long=long)
    change.expected_version = expected_version
    return change


def check_update(
    entity: type[Entity], ref_id: str, values: Mapping[str, Any], expected_version: int | None
) -> None:
    """Refuse what is no partial update, whatever its fields."""
    checked([ref_id])
    if not isinstance(values, Mapping):
        raise ValidationError(f"it maps fields to values, not {type(values).__name__}", field=entity.__name__)
    check_version(expected_version)


async def look_up(context: Context, changes: Sequence[tuple[type[Entity], Change]]) -> None:
    """Find the documents that must follow a blob, and hold their rows to the versions they were seen at.

    One trip if there are such documents, else none.
    """
    wanted = [(entity, change) for entity, change in changes if _touches_links(change)]
    if not wanted:
        return
    rows = await found_rows(context, [(change.table, change.ref_id) for _, change in wanted])
    for (entity, change), row in zip(wanted, rows, strict=True):
        loaded = entity_from(entity, visible(change.table, context.actor.tenant, row, change.ref_id))
        stored = memory_of(loaded).stored
        change.stored = stored.parts if stored else {}
        if change.expected_version is None:
            change.expected_version = loaded.version


def _touches_links(change: Change) -> bool:
    """Whether a document must follow a blob, or tell of blobs that the change does not name."""
    touched = change.blobs.keys() | change.emptied
    parts = change.table.parts
    return any(not touched.isdisjoint(part.links) for part in parts.values()) or any(
        not touched.issuperset(parts[name].links) for name in change.documents
    )


async def _carry_out(context: Context, entity: type[E], changes: Sequence[Change]) -> list[E]:
    table = entity.storekit_table
    try:
        await look_up(context, [(entity, change) for change in changes])
        plan = await planned(context, changes)
        ref_ids = [change.ref_id for change in changes]
        done = await carry_out(context, plan, None, lambda _: None, [whole_row(table, ref_ids)])
    except StorekitError as error:
        await blame(context, changes, error)
        raise
    assert isinstance(done, Committed)  # noqa: S101 only a key can be replayed
    rows = {row["ref_id"]: [row] for row in done.rows[0]}
    return [entity_from(entity, visible(table, context.actor.tenant, rows.get(r, []), r)) for r in ref_ids]
