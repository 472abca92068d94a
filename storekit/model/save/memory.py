"""What an object remembers of its stored record, besides its fields. Only this module reads and changes it.

An object remembers the row and the parts that were stored when it was loaded or saved, so that a save writes
only what differs. It also remembers a write with an unknown outcome, which the next save settles first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from storekit.errors import Corrupt, UsageError
from storekit.model.declare.entity import Entity
from storekit.model.declare.stored import EntityMemory, Stored
from storekit.model.save.change import Change
from storekit.model.save.plan import Plan
from storekit.model.values.blob import Blob
from storekit.ports.stores import StoredPart

Undecided = tuple[UUID, UUID]
"""The tenant and the id of a write whose outcome is unknown."""


def memory_of(entity: Entity) -> EntityMemory:
    """Return what an object remembers.

    It is a function because a method could have the same name as a field of the user. It reads the dict of
    private attributes of pydantic, because `__getattr__` would take 2 µs for each access.
    """
    private = entity.__pydantic_private__
    assert private is not None  # noqa: S101 each entity has one
    memory: EntityMemory = private["_memory"]
    return memory


def remember(entity: Entity, memory: EntityMemory) -> None:
    """Replace what an object remembers."""
    private = entity.__pydantic_private__
    assert private is not None  # noqa: S101 each entity has one
    private["_memory"] = memory


def stored_parts(entity: Entity) -> Mapping[str, StoredPart]:
    """Return the stored parts of an object by field; a field that is empty is absent."""
    stored = memory_of(entity).stored
    return stored.parts if stored else {}


def stored_column(entity: Entity, name: str) -> Any:
    """Return the encoded value of a column in the database; None for a new object."""
    stored = memory_of(entity).stored
    return stored.columns.get(name) if stored else None


def column_values(change: Change) -> Mapping[str, Any]:
    """Return the encoded columns of a row after a change, as far as they are known."""
    stored = memory_of(change.holder).stored if change.holder is not None else None
    return {**(stored.columns if stored else {}), **change.columns}


def note_document(entity: Entity, name: str, digest: bytes) -> None:
    """Remember the hash of a document as it was loaded, so that an edit in place counts as a change."""
    memory_of(entity).digests[name] = digest


def note_unreadable(entity: Entity, name: str, why: str) -> None:
    """Remember that the class cannot hold the stored value of a field, which is absent from the object."""
    memory_of(entity).unreadable[name] = why


def note_damaged(entity: Entity, name: str, error: Corrupt) -> None:
    """Remember that a document is damaged or missing in its store; its field is absent from the object."""
    memory_of(entity).damaged[name] = error


def note_failed(entity: Entity, why: str) -> None:
    """Remember that code of the class failed for the stored record, and leave its fields out of the object.

    What the class derives from them may be missing or wrong, so none of them may be used unnoticed.
    """
    memory = memory_of(entity)
    memory.failed = why
    for name in entity.__dict__.keys() - entity.storekit_table.base.keys():
        del entity.__dict__[name]
    memory.unreadable.update({name: why for name in type(entity).model_fields if name not in entity.__dict__})


def note_unchanged(entity: Entity, name: str, blob: Blob, part: StoredPart) -> None:
    """Replace a new blob that equals the stored one, so that its source file is no longer needed."""
    stored = memory_of(entity).blobs[name] = _described(part)
    if entity.__dict__.get(name) is blob:
        entity.__dict__[name] = stored


def _described(part: StoredPart) -> Blob:
    return Blob.stored(part.size, part.sha256, part.media_type, part.filename)


def note_replayed(entity: Entity, key: str, ref_id: str) -> None:
    """Remember that a save with a key returned a stored record in place of this new object."""
    memory_of(entity).replayed = key, ref_id


def note_request(entity: Entity, key: str, identity: Any) -> None:
    """Remember the idempotency key of a unit of work that saved the object, and its part of the request."""
    memory_of(entity).request = key, identity


def request_of(entity: Entity, key: str | None) -> Any:
    """Return the object's part of an earlier request with the same key; None if there is none."""
    request = memory_of(entity).request
    return request[1] if request is not None and request[0] == key else None


def check_replayed(entities: Sequence[Entity], key: str | None) -> None:
    """Check that no object would be inserted although its request was committed before, under another id.

    Raises:
        UsageError: a save with another key returned a stored record in place of the object.
    """
    for i, entity in enumerate(entities):
        replayed = memory_of(entity).replayed
        if replayed is not None and replayed[0] != key:
            error = UsageError(
                f"idempotency key {replayed[0]!r} has saved this {type(entity).__name__} before, as "
                f"{replayed[1]}; use the object that the save with the key returned"
            )
            raise error.at(i) if len(entities) > 1 else error


def undecided(entities: Iterable[Entity]) -> dict[Undecided, list[Entity]]:
    """Group objects by their write with an unknown outcome; objects without one are left out."""
    found: dict[Undecided, list[Entity]] = {}
    for entity in entities:
        if former := memory_of(entity).undecided:
            found.setdefault(former, []).append(entity)
    return found


def leave_undecided(entities: Iterable[Entity], write: Undecided) -> None:
    """Remember a write of these objects whose outcome is unknown."""
    for entity in entities:
        memory_of(entity).undecided = write


def decided(entities: Iterable[Entity]) -> None:
    """Forget the undecided write of these objects: its outcome is known."""
    for entity in entities:
        memory_of(entity).undecided = None


def restore_undecided(entities: Iterable[Entity]) -> list[Callable[[], None]]:
    """Return callbacks that make undecided writes undecided again.

    A decision made inside a transaction is undone with it when the transaction rolls back.
    """
    return [partial(leave_undecided, several, write) for write, several in undecided(entities).items()]


def snapshot(entity: Entity) -> Callable[[], None]:
    """Return a callback that restores what a save changes in an object, for a unit of work that rolls back.

    It restores base columns, parts and memory; a part that the user has assigned since then is kept.
    """
    memory, before = memory_of(entity), dict(entity.__dict__)

    def restore() -> None:
        noted = memory_of(entity).blobs
        for name in entity.storekit_table.base.keys() & before.keys():
            entity.__dict__[name] = before[name]
        for name in entity.storekit_table.parts.keys() & before.keys():
            # otherwise the user has assigned another value since then
            if entity.__dict__.get(name) is noted.get(name):
                entity.__dict__[name] = before[name]
        remember(entity, memory)

    return restore


def take_over(entity: Entity, loaded: Entity) -> None:
    """Treat an object as loaded from a stored record; fields that differ from the record count as changes."""
    base = entity.storekit_table.base.keys() & loaded.__dict__.keys()
    entity.__dict__.update({name: loaded.__dict__[name] for name in base})
    known = memory_of(loaded)
    remember(entity, EntityMemory(known.stored, expired=known.expired))


def become(entity: Entity, loaded: Entity) -> None:
    """Make an object equal to one that was loaded: its ids, its values and what it remembers."""
    # a document that is not loaded has no value, nor has a field whose stored value the class cannot hold
    for name in (*entity.storekit_table.parts, *memory_of(loaded).unreadable):
        entity.__dict__.pop(name, None)
    entity.__dict__.update(loaded.__dict__)
    remember(entity, memory_of(loaded))


@dataclass(frozen=True, slots=True)
class Saved:
    """The result of a commit."""

    tenant: UUID
    actor: str
    now: datetime
    versions: Mapping[tuple[str, str], int]
    """By table and ref_id."""
    parts: Sequence[StoredPart]
    """In the plan's order."""


def note_saved(changes: Sequence[Change], plan: Plan, saved: Saved) -> None:
    """Update the objects with the result of a commit."""
    for row in plan.rows:
        change = changes[row.change]
        if change.holder is not None and row.operation != "check":
            version = saved.versions[row.table.name, row.ref_id]
            parts = {name: saved.parts[i] for name, i in row.refs.items() if i is not None}
            _settle(change.holder, change, saved, version, parts)


def _settle(
    entity: Entity, change: Change, saved: Saved, version: int, fresh: Mapping[str, StoredPart]
) -> None:
    """Update an object after its save with the values that were sent, not with its current values.

    The user may edit the object while it is being saved; the next save must find that edit as a change.
    """
    memory = memory_of(entity)
    entity.__dict__["version"] = version
    if change.operation == "insert":
        entity.__dict__.update(tenant_id=saved.tenant, created_on=saved.now, created_by=saved.actor)
    else:
        entity.__dict__.update(updated_on=saved.now, updated_by=saved.actor)
    touched = change.blobs.keys() | change.documents.keys() | change.emptied
    blobs = {name: blob for name, blob in memory.blobs.items() if name not in touched}
    digests = {name: each for name, each in memory.digests.items() if name not in touched}
    for name, blob in change.blobs.items():
        blobs[name] = _described(fresh[name])
        if entity.__dict__.get(name) is blob:
            entity.__dict__[name] = blobs[name]
    digests |= {name: made.sha256 for name, made in change.documents.items()}
    known = {} if memory.stored is None else memory.stored.parts
    parts = {**{name: part for name, part in known.items() if name not in change.emptied}, **fresh}
    stored = Stored(saved.tenant, dict(column_values(change)), parts)
    written = touched | change.columns.keys()
    unreadable = {name: why for name, why in memory.unreadable.items() if name not in written}
    damaged = {name: error for name, error in memory.damaged.items() if name not in touched}
    made = EntityMemory(stored, None, digests, blobs, unreadable, memory.expired - touched, damaged)
    made.failed = memory.failed
    remember(entity, made)
