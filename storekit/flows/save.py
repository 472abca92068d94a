"""Save: what changed in some entities, in one write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from storekit.errors import OutcomeUnknown, UsageError, ValidationError
from storekit.flows import calls
from storekit.flows.context import Actor, Ports
from storekit.flows.load import checked, fetch_bodies, whole_row
from storekit.flows.write import Committed, Remember, Replayed, carry_out
from storekit.model.blob import Blob
from storekit.model.changes import Change, change_from, change_of
from storekit.model.entity import Entity, StoredPart, memory_of
from storekit.model.load import entity_from, take_over, visible, written
from storekit.model.plan import Plan, Write
from storekit.model.planner import Key, drop_unchanged, make_plan
from storekit.model.request import commit_operations
from storekit.model.source import MeasuredSource
from storekit.model.values import check_text
from storekit.trace import step

E = TypeVar("E", bound=Entity)
_LONGEST_KEY = 255


async def save(
    ports: Ports,
    actor: Actor,
    entity_class: type[E],
    entities: Sequence[E],
    key: str | None = None,
    expected_version: int | None = None,
) -> list[E]:
    """Save entities of any tables: all or nothing, visible at once.

    One Postgres trip when no part changed, else two around one wave; none when nothing changed.
    """
    _check(entity_class, entities, key)
    await _resolve_former(ports, actor, entities, key)
    changes = [change_of(entity, actor.tenant, expected_version) for entity in entities]
    plan, changed = await _plan(ports, actor, entities, changes)
    if not plan.rows:
        return list(entities)
    done = await carry_out(ports, actor, plan, key, _remember(ports, actor, entities, key))
    if isinstance(done, Replayed):
        winners = await _load_replayed(ports, actor, plan, changed, done)
        return [winners.get(entity.ref_id, entity) for entity in entities]
    for index, entity in enumerate(changed):
        _note(entity, actor, plan, index, done)
    return list(entities)


async def update(
    ports: Ports,
    actor: Actor,
    entity: type[E],
    ref_id: str,
    values: Mapping[str, Any],
    expected_version: int | None = None,
) -> E:
    """Write some fields of a record that need not be loaded.

    One Postgres trip, or two around one wave when parts are among them; one more, and a read of MongoDB,
    when a document links a blob that changes.
    """
    checked([ref_id])
    change = change_from(entity, ref_id, values)
    change.expected_version = expected_version
    if _touches_links(change):
        await _look_up(ports, actor, entity, change)
    measured = await _measure(ports, [change])
    plan = make_plan([change], measured, await _relinked(ports, actor, [change]))
    after = [whole_row(entity.storekit_table, [ref_id])]
    done = await carry_out(ports, actor, plan, None, lambda _: None, after)
    assert isinstance(done, Committed)  # noqa: S101 only a key can be replayed
    return entity_from(entity, visible(entity.storekit_table, done.rows[0], ref_id))


def _touches_links(change: Change) -> bool:
    touched = change.blobs.keys() | change.emptied
    return any(not touched.isdisjoint(part.links) for part in change.table.parts.values())


async def _look_up(ports: Ports, actor: Actor, entity: type[Entity], change: Change) -> None:
    """Find the document that must follow its blob, and hold the row to the version it was seen at."""
    table = entity.storekit_table
    rows = await calls.select(ports, actor, whole_row(table, [change.ref_id]))
    loaded = entity_from(entity, visible(table, rows, change.ref_id))
    stored = memory_of(loaded).stored
    change.stored = stored.parts if stored else {}
    if change.expected_version is None:
        change.expected_version = loaded.version


def _check(entity_class: type[Entity], entities: Sequence[Entity], key: str | None) -> None:
    for entity in entities:
        if not isinstance(entity, entity_class):
            raise UsageError(f"this repository takes {entity_class.__name__}, not {type(entity).__name__}")
    if len({entity.ref_id for entity in entities}) < len(entities):
        raise UsageError("the same record is in the list twice; save it once")
    if key is not None and not 1 <= len(check_text(key, "idempotency_key")) <= _LONGEST_KEY:
        raise ValidationError(f"it must have 1 to {_LONGEST_KEY} characters", field="idempotency_key")


async def _plan(
    ports: Ports, actor: Actor, entities: Sequence[E], changes: Sequence[Change]
) -> tuple[Plan, list[E]]:
    """Plan the changes, and tell which entities the plan's rows are."""
    measured = await _measure(ports, changes)
    for change in changes:
        drop_unchanged(change, measured)
    pairs = [(e, c) for e, c in zip(entities, changes, strict=True) if not c.empty]
    kept = [change for _, change in pairs]
    plan = make_plan(kept, measured, await _relinked(ports, actor, kept))
    return plan, [entity for entity, _ in pairs]


async def _measure(ports: Ports, changes: Sequence[Change]) -> dict[Key, MeasuredSource]:
    """Read new content once for its size and hash, before any byte leaves."""
    blobs = {(c.ref_id, name): (c.where(name), blob) for c in changes for name, blob in c.blobs.items()}
    if not blobs:
        return {}

    def work() -> dict[Key, MeasuredSource]:
        return {key: blob.measure(where) for key, (where, blob) in blobs.items()}

    with step("local.measure"):
        if len(blobs) == 1 and all(blob.cheap for _, blob in blobs.values()):
            return work()  # a hop to a thread costs as much
        return await ports.runtime.blocking(work)


async def _relinked(ports: Ports, actor: Actor, changes: Sequence[Change]) -> dict[Key, Any]:
    """Read the documents that must be written afresh because a blob they link changes."""
    wanted = [(c.ref_id, name, c.table.parts[name], c.stored[name]) for c in changes for name in c.relinked()]
    if not wanted:
        return {}
    bodies = await fetch_bodies(ports, actor, [(spec, part) for _, _, spec, part in wanted])
    return {
        (ref_id, name): bodies[part.part_id] for ref_id, name, _, part in wanted if part.part_id in bodies
    }


def _remember(ports: Ports, actor: Actor, entities: Sequence[Entity], key: str | None) -> Remember:
    """Keep the id of an undecided write where the next save of the same object or key looks for it."""

    def remember(write_id: UUID) -> None:
        for entity in entities:
            memory_of(entity).write_id = write_id
        if key is not None:
            ports.unresolved[actor.tenant, key] = write_id

    return remember


async def _resolve_former(ports: Ports, actor: Actor, entities: Sequence[Entity], key: str | None) -> None:
    """Decide former writes of these objects, or of this key, whose outcome this process does not know."""
    undecided = {memory.write_id for entity in entities if (memory := memory_of(entity)).write_id}
    if key is not None and (actor.tenant, key) in ports.unresolved:
        undecided.add(ports.unresolved[actor.tenant, key])
    for write_id in undecided:
        reply = await calls.abandon(ports, actor, write_id)
        if reply["outcome"] == "unknown":
            raise OutcomeUnknown(write_id)
        await _settle(ports, actor, [e for e in entities if memory_of(e).write_id == write_id], reply)
    if key is not None:
        ports.unresolved.pop((actor.tenant, key), None)


async def _settle(ports: Ports, actor: Actor, entities: Sequence[Entity], reply: Mapping[str, Any]) -> None:
    """Let objects whose write had committed after all stand for the records that it made."""
    for entity in entities:
        if reply["outcome"] == "committed":
            table = entity.storekit_table
            rows = await calls.select(ports, actor, whole_row(table, [entity.ref_id]))
            take_over(entity, entity_from(type(entity), visible(table, rows, entity.ref_id)))
        memory_of(entity).write_id = None


async def _load_replayed(
    ports: Ports, actor: Actor, plan: Plan, changed: Sequence[E], done: Replayed
) -> dict[str, E]:
    """Load what the former write of the same request made, by the ref_ids of this one.

    Equal requests have equal plans, so the n-th row of one is the n-th row of the other.
    """
    order = [row["ref_id"] for group in commit_operations(plan, Write.of(plan)) for row in group["rows"]]
    winners = {mine: theirs for mine, (_, theirs, _) in zip(order, done.rows, strict=True)}
    loaded: dict[str, E] = {}
    for entity_class in {type(entity) for entity in changed}:
        table = entity_class.storekit_table
        mine = [entity.ref_id for entity in changed if type(entity) is entity_class]
        rows = await calls.select(ports, actor, whole_row(table, [winners[ref_id] for ref_id in mine]))
        found = {row["ref_id"]: row for row in rows}
        for ref_id in mine:
            row = [found[winners[ref_id]]] if winners[ref_id] in found else []
            loaded[ref_id] = entity_from(entity_class, visible(table, row, winners[ref_id]))
    return loaded


def _note(entity: Entity, actor: Actor, plan: Plan, index: int, done: Committed) -> None:
    """Write what the commit made of one row back into its object."""
    row, memory = plan.rows[index], memory_of(entity)
    parts = dict(memory.stored.parts) if memory.stored else {}
    for field, part_index in row.refs.items():
        parts.pop(field, None)
        if part_index is not None:
            parts[field] = _stored_part(plan, part_index, done)
            _note_blob(entity.__dict__.get(field), parts[field])
    facts: dict[str, Any] = {"version": done.versions[row.table.name, row.ref_id]}
    if row.operation == "insert":
        facts |= {"tenant_id": actor.tenant, "created_on": done.now, "created_by": actor.name}
    else:
        facts |= {"updated_on": done.now, "updated_by": actor.name}
    written(entity, facts, parts, actor.tenant)


def _note_blob(value: object, part: StoredPart) -> None:
    if isinstance(value, Blob):
        value.media_type = part.media_type


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
