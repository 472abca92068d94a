"""Write many records at once: in chunks, or by their natural key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from storekit.errors import StorekitError, UsageError
from storekit.flows.context import Context
from storekit.flows.write.operations import Operation, Verb
from storekit.flows.write.planning import off_loop
from storekit.flows.write.reason import check_reason
from storekit.flows.write.save import check_entities, check_key, save_changes
from storekit.flows.write.single import carry_out_operations
from storekit.flows.write.unit import Unit
from storekit.flows.write.unresolved import resolve_former
from storekit.flows.write.upload import Progress
from storekit.model.declare.entity import Entity
from storekit.model.save.change import Change
from storekit.model.save.changes import change_of
from storekit.model.save.memory import check_replayed

E = TypeVar("E", bound=Entity)
_MOST = 10_000
"""Maximum number of records of one write, whose rows are locked for less than a second."""
_MOST_BYTES = 64 * 1024 * 1024
"""Bytes of documents after which a write takes no further record. They are in memory until uploaded."""


async def save_many(
    context: Context,
    entity_class: type[E],
    entities: Sequence[E],
    key: str | None = None,
    progress: Progress | None = None,
    reason: str | None = None,
) -> list[E]:
    """Save objects, all or nothing: one write for each chunk of them, one transaction for all writes.

    Chunks limit the memory: a chunk is encoded only after the previous one was uploaded.
    """
    check_entities(entity_class, entities)
    check_key(key)
    check_reason(reason, entity_class)
    check_replayed(entities, key)
    await resolve_former(context, entities, key)
    changes = await _chunk(context, entities, 0)
    if len(changes) == len(entities):
        return await save_changes(context, entities, changes, key, reason, progress)
    if key is not None:
        raise UsageError(
            f"an idempotency key identifies one write, of at most {_MOST:,} records and "
            f"{_MOST_BYTES >> 20} MiB of documents; save fewer with each key"
        )
    unit, done = Unit(context, reason=reason), 0
    try:
        while changes:
            for change in changes:
                change.reason = reason
            await unit.writes.send(changes)
            done += len(changes)
            if progress is not None:
                progress(done, len(entities))
            changes = await _chunk(context, entities, done)
    except BaseException as error:
        await unit.leave(error)
        raise
    await unit.leave(None)
    return list(entities)


async def _chunk(context: Context, entities: Sequence[Entity], start: int) -> list[Change]:
    """Return the changes of the objects from `start` on, as many as one write can hold."""

    def work() -> list[Change]:
        changes: list[Change] = []
        size = 0
        for i, entity in enumerate(entities[start : start + _MOST], start):
            try:
                changes.append(change_of(entity, context.actor.tenant))
                changes[-1].place = i
            except StorekitError as error:
                if len(entities) > 1:
                    error.at(i)
                raise
            size += sum(made.size for made in changes[-1].documents.values())
            if size > _MOST_BYTES:
                break
        return changes

    return await off_loop(context, work, long=len(entities) > 1)


async def upsert(
    context: Context, entity_class: type[E], entities: Sequence[E], reason: str | None = None
) -> list[E]:
    """Insert records that are new by their natural key, and write the given fields of those that exist."""
    return await _keyed(context, entity_class, "upsert", entities, reason)


async def insert_ignore(
    context: Context, entity_class: type[E], entities: Sequence[E], reason: str | None = None
) -> list[E]:
    """Insert records that are new by their natural key, and return only those."""
    return await _keyed(context, entity_class, "insert_ignore", entities, reason)


async def _keyed(
    context: Context, entity_class: type[E], verb: Verb, entities: Sequence[E], reason: str | None
) -> list[E]:
    check_entities(entity_class, entities)
    check_reason(reason, entity_class)
    operations = [
        _operation(verb, entity_class, each.ref_id, each, i, reason) for i, each in enumerate(entities)
    ]
    await carry_out_operations(context, operations)
    return [each.outcome for each in operations if isinstance(each.outcome, entity_class)]


async def delete_many(
    context: Context, entity_class: type[Entity], ref_ids: Iterable[str], reason: str | None = None
) -> None:
    """Delete records, all or nothing. One Postgres trip."""
    if isinstance(ref_ids, str):
        raise UsageError("delete_many() takes several ref_ids; give a list of them")
    check_reason(reason, entity_class)
    operations = [
        _operation("delete", entity_class, ref_id, None, i, reason) for i, ref_id in enumerate(ref_ids)
    ]
    if len({each.ref_id for each in operations}) < len(operations):
        raise UsageError("duplicate record in the list; pass each ref_id once")
    await carry_out_operations(context, operations)


def _operation(
    verb: Verb,
    entity_class: type[Entity],
    ref_id: str,
    entity: Entity | None,
    place: int,
    reason: str | None,
) -> Operation:
    try:
        return Operation(verb, entity_class, ref_id, entity, place=place, reason=reason)
    except StorekitError as error:
        error.at(place)
        raise
