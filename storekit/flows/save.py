"""Save: what changed in some entities, in one write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from storekit.errors import OutcomeUnknown, UsageError, ValidationError
from storekit.flows import calls
from storekit.flows.context import Actor, Ports
from storekit.flows.load import checked, expired_or, fetch_bodies, get, whole_row
from storekit.flows.write import Committed, Remember, Replayed, carry_out
from storekit.model.changes import Change, change_from, change_of
from storekit.model.entity import Entity, StoredPart, memory_of
from storekit.model.fields import Expired
from storekit.model.load import entity_from, take_over, visible, written
from storekit.model.plan import Plan, Write
from storekit.model.planner import Key, drop_unchanged, make_plan
from storekit.model.request import commit_operations
from storekit.model.source import MeasuredSource
from storekit.model.table import Table
from storekit.model.values import check_text, check_version
from storekit.trace import step

E = TypeVar("E", bound=Entity)
T = TypeVar("T")
_FEW = 20
"""Records without documents whose plan is made in less time than a thread takes."""
_LONGEST_KEY = 255
_MOST_UNRESOLVED = 10_000
"""Keys of failed saves that are kept in mind; the ledger's leases decide the rest."""


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
    check_version(expected_version)
    await _resolve_former(ports, actor, entities, key)
    changes = await _aside(
        ports,
        lambda: [change_of(entity, actor.tenant, expected_version) for entity in entities],
        long=_takes_long(entities),
    )
    plan = await _plan(ports, actor, entities, changes)
    if not plan.rows:
        return list(entities)
    changed = [(entity, change) for entity, change in zip(entities, changes, strict=True) if not change.empty]
    done = await carry_out(ports, actor, plan, key, _remember(ports, actor, entities, key))
    if isinstance(done, Replayed):
        return await _load_replayed(ports, actor, plan, entities, done)
    for index, (entity, change) in enumerate(changed):
        _note(entity, change, actor, plan, index, done)
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
    long = any(values.get(name) is not None for name in _documents(entity.storekit_table))
    change = await _aside(ports, lambda: change_from(entity, ref_id, values), long=long)
    change.expected_version = check_version(expected_version)
    if change.empty:
        return await get(ports, actor, entity, ref_id)
    if _touches_links(change):
        await _look_up(ports, actor, entity, change)
    measured = await _measure(ports, [change])
    plan = make_plan([change], measured, await _relinked(ports, actor, [change]))
    after = [whole_row(entity.storekit_table, [ref_id])]
    done = await carry_out(ports, actor, plan, None, lambda _: None, after)
    assert isinstance(done, Committed)  # noqa: S101 only a key can be replayed
    return entity_from(entity, visible(entity.storekit_table, actor.tenant, done.rows[0], ref_id))


def _touches_links(change: Change) -> bool:
    """Whether a document must follow a blob, or tell of blobs that the change does not name."""
    touched = change.blobs.keys() | change.emptied
    parts = change.table.parts
    return any(not touched.isdisjoint(part.links) for part in parts.values()) or any(
        not touched.issuperset(parts[name].links) for name in change.documents
    )


async def _look_up(ports: Ports, actor: Actor, entity: type[Entity], change: Change) -> None:
    """Find the document that must follow its blob, and hold the row to the version it was seen at."""
    table = entity.storekit_table
    rows = await calls.select(ports, actor, whole_row(table, [change.ref_id]))
    loaded = entity_from(entity, visible(table, actor.tenant, rows, change.ref_id))
    stored = memory_of(loaded).stored
    change.stored = stored.parts if stored else {}
    if change.expected_version is None:
        change.expected_version = loaded.version


def _check(entity_class: type[Entity], entities: Sequence[Entity], key: str | None) -> None:
    if entities and isinstance(entities[0], tuple):
        raise UsageError("save_many takes several records; give a list of them")
    for entity in entities:
        if not isinstance(entity, entity_class):
            raise UsageError(f"this repository takes {entity_class.__name__}, not {type(entity).__name__}")
    if len({entity.ref_id for entity in entities}) < len(entities):
        raise UsageError("the same record is in the list twice; save it once")
    if key is None:
        return
    if not isinstance(key, str):
        raise ValidationError(f"it must be str, not {type(key).__name__}", field="idempotency_key")
    if not 1 <= len(check_text(key, "idempotency_key")) <= _LONGEST_KEY:
        raise ValidationError(f"it must have 1 to {_LONGEST_KEY} characters", field="idempotency_key")


async def _plan(ports: Ports, actor: Actor, entities: Sequence[Entity], changes: Sequence[Change]) -> Plan:
    measured = await _measure(ports, changes)
    for entity, change in zip(entities, changes, strict=True):
        # what is stored already is known from now on, though its file may go
        memory_of(entity).blobs.update(drop_unchanged(change, measured))
    bodies = await _relinked(ports, actor, changes)
    return await _aside(ports, lambda: make_plan(changes, measured, bodies), long=_takes_long(entities))


async def _aside(ports: Ports, work: Callable[[], T], *, long: bool) -> T:
    """Keep what may take long, a batch or a document of megabytes, off the event loop."""
    return await ports.runtime.blocking(work) if long else work()


def _takes_long(entities: Sequence[Entity]) -> bool:
    return len(entities) > _FEW or any(_documents(entity.storekit_table) for entity in entities)


def _documents(table: Table) -> list[str]:
    return [part.name for part in table.parts.values() if part.kind == "document"]


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
    found = {(ref_id, name): expired_or(part, bodies.get(part.part_id)) for ref_id, name, _, part in wanted}
    return {key: body for key, body in found.items() if not isinstance(body, Expired)}


def _remember(ports: Ports, actor: Actor, entities: Sequence[Entity], key: str | None) -> Remember:
    """Keep the id of an undecided write where the next save of the same object or key looks for it."""

    def remember(write_id: UUID) -> None:
        for entity in entities:
            memory_of(entity).undecided = actor.tenant, write_id
        if key is not None:
            while len(ports.unresolved) >= _MOST_UNRESOLVED:
                del ports.unresolved[next(iter(ports.unresolved))]
            ports.unresolved[actor.tenant, key] = write_id

    return remember


async def _resolve_former(ports: Ports, actor: Actor, entities: Sequence[Entity], key: str | None) -> None:
    """Decide former writes of these objects, or of this key, whose outcome this process does not know."""
    undecided = {former for entity in entities if (former := memory_of(entity).undecided)}
    if key is not None and (write_id := ports.unresolved.pop((actor.tenant, key), None)):
        undecided.add((actor.tenant, write_id))
    for former in undecided:
        if former[0] != actor.tenant:
            raise UsageError(
                f"a save of this object for tenant {former[0]} has no known outcome; save it there first"
            )
        await _decide(ports, actor, former, [e for e in entities if memory_of(e).undecided == former])


async def _decide(ports: Ports, actor: Actor, former: tuple[UUID, UUID], entities: Sequence[Entity]) -> None:
    """Let objects whose write had committed after all stand for the records that it made.

    Raises:
        OutcomeUnknown: the write is too old for the ledger to know; this is said once.
    """
    reply = await calls.abandon(ports, actor, former[1])
    for entity in entities:
        if reply["outcome"] == "committed":
            table = entity.storekit_table
            rows = await calls.select(ports, actor, whole_row(table, [entity.ref_id]))
            row = visible(table, actor.tenant, rows, entity.ref_id)
            take_over(entity, entity_from(type(entity), row))
        memory_of(entity).undecided = None
    if reply["outcome"] == "unknown":
        raise OutcomeUnknown(former[1])


async def _load_replayed(
    ports: Ports, actor: Actor, plan: Plan, entities: Sequence[E], done: Replayed
) -> list[E]:
    """Load what the former write of the same request made.

    Equal requests insert alike: the n-th new row of one is the n-th new row of the other. Rows that were
    there before are themselves, whichever of them the former write had still to change.
    """
    mine = [row["ref_id"] for group in commit_operations(plan, Write.of(plan)) for row in group["rows"]]
    known = {entity.ref_id for entity in entities if memory_of(entity).stored}
    made = [ref_id for _, ref_id, _ in done.rows if ref_id not in known]
    winner = dict(zip([ref_id for ref_id in mine if ref_id not in known], made, strict=True))
    loaded: dict[str, E] = {}
    for entity_class in {type(entity) for entity in entities}:
        table = entity_class.storekit_table
        wanted = [winner.get(e.ref_id, e.ref_id) for e in entities if type(e) is entity_class]
        rows = await calls.select(ports, actor, whole_row(table, wanted))
        found = {row["ref_id"]: row for row in rows}
        for ref_id in wanted:
            row = [found[ref_id]] if ref_id in found else []
            loaded[ref_id] = entity_from(entity_class, visible(table, actor.tenant, row, ref_id))
    return [loaded[winner.get(entity.ref_id, entity.ref_id)] for entity in entities]


def _note(entity: Entity, change: Change, actor: Actor, plan: Plan, index: int, done: Committed) -> None:
    """Write what the commit made of one row back into its object."""
    row, memory = plan.rows[index], memory_of(entity)
    parts = dict(memory.stored.parts) if memory.stored else {}
    for field, part_index in row.refs.items():
        parts.pop(field, None)
        if part_index is not None:
            parts[field] = _stored_part(plan, part_index, done)
    facts: dict[str, Any] = {"version": done.versions[row.table.name, row.ref_id]}
    if row.operation == "insert":
        facts |= {"tenant_id": actor.tenant, "created_on": done.now, "created_by": actor.name}
    else:
        facts |= {"updated_on": done.now, "updated_by": actor.name}
    written(entity, facts, change, parts, actor.tenant)


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
