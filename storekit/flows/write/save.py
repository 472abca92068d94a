"""Save: what changed in some entities, in one write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from storekit.errors import StorekitError, UsageError, ValidationError
from storekit.flows.context import Context
from storekit.flows.read.load import found_rows
from storekit.flows.write.attempt import Committed, Replayed, carry_out
from storekit.flows.write.attribution import blame
from storekit.flows.write.planning import changes_of, planned
from storekit.flows.write.unresolved import remember, resolve_former
from storekit.flows.write.upload import Progress, nobody
from storekit.model.declare.entity import Entity, memory_of
from storekit.model.declare.stored import StoredPart
from storekit.model.save.arguments import commit_operations
from storekit.model.save.changes import Change
from storekit.model.save.load import entity_from, visible, written
from storekit.model.save.plan import Plan, Write
from storekit.model.values.limits import check_text, check_version

E = TypeVar("E", bound=Entity)
_LONGEST_KEY = 255


async def save(
    context: Context,
    entity_class: type[E],
    entities: Sequence[E],
    key: str | None = None,
    expected_version: int | None = None,
    progress: Progress = nobody,
) -> list[E]:
    """Save entities: all or nothing, visible at once.

    One Postgres trip when no part changed, else two around one wave; none when nothing changed.
    """
    check_entities(entity_class, entities)
    check_key(key)
    check_version(expected_version)
    await resolve_former(context, entities, key)
    return await save_changes(
        context, entities, await changes_of(context, entities, expected_version), key, progress
    )


async def save_changes(
    context: Context,
    entities: Sequence[E],
    changes: Sequence[Change],
    key: str | None,
    progress: Progress,
) -> list[E]:
    """Save what is known to have changed in some entities."""
    plan = await planned(context, changes)
    if not plan.rows:
        return list(entities)
    note = remember(context, entities, key)
    try:
        done = await carry_out(context, plan, key, note, progress=progress)
    except StorekitError as error:
        await blame(context, changes, error)
        raise
    if isinstance(done, Replayed):
        return await _load_replayed(context, plan, entities, done)
    note_all(changes, context, plan, done)
    return list(entities)


def check_entities(entity_class: type[Entity], entities: Sequence[Entity]) -> None:
    """Refuse what are no records of the class, and a record that comes twice."""
    if entities and isinstance(entities[0], tuple):
        raise UsageError("the call takes several records; give a list of them")
    for i, entity in enumerate(entities):
        if not isinstance(entity, entity_class):
            error = UsageError(f"this repository takes {entity_class.__name__}, not {type(entity).__name__}")
            raise error.at(i) if len(entities) > 1 else error
    if len({entity.ref_id for entity in entities}) < len(entities):
        raise UsageError("the same record is in the list twice; save it once")


def check_key(key: str | None) -> None:
    if key is None:
        return
    if not isinstance(key, str):
        raise ValidationError(f"it must be str, not {type(key).__name__}", field="idempotency_key")
    if not 1 <= len(check_text(key, "idempotency_key")) <= _LONGEST_KEY:
        raise ValidationError(f"it must have 1 to {_LONGEST_KEY} characters", field="idempotency_key")


async def _load_replayed(context: Context, plan: Plan, entities: Sequence[E], done: Replayed) -> list[E]:
    """Load what the former write of the same request made.

    Equal requests insert alike: the n-th new row of one is the n-th new row of the other. Rows that were
    there before are themselves, whichever of them the former write had still to change.
    """
    mine = [row["ref_id"] for group in commit_operations(plan, Write.of(plan)) for row in group["rows"]]
    known = {entity.ref_id for entity in entities if memory_of(entity).stored}
    made = [ref_id for _, ref_id, _ in done.rows if ref_id not in known]
    winner = dict(zip([ref_id for ref_id in mine if ref_id not in known], made, strict=True))
    stand_in = [(e.storekit_table, winner.get(e.ref_id, e.ref_id)) for e in entities]
    rows = await found_rows(context, stand_in)
    return [
        entity_from(type(entity), visible(table, context.actor.tenant, row, ref_id))
        for entity, (table, ref_id), row in zip(entities, stand_in, rows, strict=True)
    ]


def note_all(changes: Sequence[Change], context: Context, plan: Plan, done: Committed) -> None:
    """Write what the commit made of the rows back into their objects."""
    for index, change in enumerate(change for change in changes if not change.empty):
        if change.holder is not None:
            _note(change.holder, change, context, plan, index, done)


def _note(entity: Entity, change: Change, context: Context, plan: Plan, index: int, done: Committed) -> None:
    row, memory = plan.rows[index], memory_of(entity)
    parts = dict(memory.stored.parts) if memory.stored else {}
    for field, part_index in row.refs.items():
        parts.pop(field, None)
        if part_index is not None:
            parts[field] = _stored_part(plan, part_index, done)
    facts: dict[str, Any] = {"version": done.versions[row.table.name, row.ref_id]}
    if row.operation == "insert":
        facts |= {"tenant_id": context.actor.tenant, "created_on": done.now, "created_by": context.actor.name}
    else:
        facts |= {"updated_on": done.now, "updated_by": context.actor.name}
    written(entity, facts, change, parts, context.actor.tenant)


def _stored_part(plan: Plan, index: int, done: Committed) -> StoredPart:
    part, part_id = plan.parts[index], done.write.part_ids[index]
    told = done.staged["parts"][str(part_id)]
    return StoredPart(
        part_id,
        told["key"],
        done.version_ids[index],
        part.size,
        part.sha256.hex(),
        part.media_type,
        part.filename,
        datetime.fromisoformat(told["expires_on"]) if told["expires_on"] else None,
        expired=False,
        write_id=done.write.write_id,
    )
