"""Build a `Change` from an object."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from storekit.errors import UsageError, ValidationError
from storekit.ids import REF_ID
from storekit.model.declare.entity import Entity
from storekit.model.declare.stored import EntityMemory
from storekit.model.save.change import Change
from storekit.model.save.defaults import left_out
from storekit.model.save.documents import encode_document
from storekit.model.save.generated import fields_with_factories, generated, without
from storekit.model.save.memory import memory_of
from storekit.model.table.fields import Expired
from storekit.model.values.blob import Blob
from storekit.model.values.bson import body_hash
from storekit.model.values.codec import changed, encode_column


def change_of(entity: Entity, tenant: UUID, expected_version: int | None = None) -> Change:
    """Compare an object with what was loaded or saved.

    Raises:
        ValidationError: a value that cannot be stored.
        UsageError: the object belongs to another tenant, or is new and `expected_version` was given.
    """
    memory, table, owner = memory_of(entity), type(entity).storekit_table, type(entity).__name__
    _require_tenant(entity, memory, tenant)
    encoded = {
        name: encode_column(column, value_of(entity, name), f"{owner}.{name}")
        for name, column in table.columns.items()
        if name in entity.__dict__ or name not in memory.unreadable
    }
    stored = memory.stored
    if stored is None:
        if expected_version is not None:
            raise UsageError(f"{owner} {entity.ref_id} is new and has no version; omit expected_version")
        _require_ids(entity)
        change = Change(owner, table, "insert", entity.ref_id, entity.id, None, encoded)
        change.declared = encoded
    else:
        expected = entity.version if expected_version is None else expected_version
        held = stored.columns  # without the values that the class cannot hold: no value equals them
        columns = {
            name: value
            for name, value in encoded.items()
            if name not in held or changed(table.columns[name], value, held[name])
        }
        change = Change(owner, table, "update", entity.ref_id, entity.id, expected, columns)
        change.stored, change.declared = stored.parts, encoded
        change.compared = expected_version is not None
    change.holder = entity
    _compare_parts(entity, memory, change)
    _leave_out_generated(entity, change)
    if stored is None:
        change.left_out = left_out(entity, {**encoded, **change.column_identities})
    else:
        _refuse_frozen(change, type(entity))
    return change


def value_of(entity: Entity, name: str) -> Any:
    """Return the value of a field.

    Raises:
        ValidationError: the object has none, as after `del` or `model_construct()`.
    """
    try:
        return entity.__dict__[name]
    except KeyError:
        message = "the object has no value; assign one"
        raise ValidationError(message, field=f"{type(entity).__name__}.{name}") from None


def _require_ids(entity: Entity) -> None:
    """Raise ValidationError for ids that no constructor makes, but `model_construct` accepts."""
    if not isinstance(entity.ref_id, str) or not REF_ID.match(entity.ref_id):
        kind, field = "ULID of 26 characters", "ref_id"
    elif not isinstance(entity.id, UUID):
        kind, field = "UUID", "id"
    else:
        return
    raise ValidationError(f"it must be a {kind}", field=f"{type(entity).__name__}.{field}")


def _leave_out_generated(entity: Entity, change: Change) -> None:
    """Leave values that default factories generated out of what the fingerprint covers."""
    for name in fields_with_factories(type(entity)):
        value = entity.__dict__.get(name)
        paths = generated(value)
        if paths and name in change.table.parts:
            made = change.documents.get(name) or encode_document(type(entity), name, value)
            change.identities[name] = body_hash(without(made.body, paths)).hex()
        elif paths and name in change.declared:
            change.column_identities[name] = without(change.declared[name], paths)


def _refuse_frozen(change: Change, entity_class: type[Entity]) -> None:
    """Raise ValidationError if a stored record would get another value in a frozen field.

    pydantic refuses the assignment, but not `model_copy(update=...)` or an edit of a list in place.
    """
    fields = entity_class.model_fields
    for name in (*change.columns, *change.blobs, *change.documents, *change.emptied):
        if fields[name].frozen:
            raise ValidationError("the field is frozen and cannot be changed", field=change.where(name))


def _require_tenant(entity: Entity, memory: EntityMemory, tenant: UUID) -> None:
    if memory.stored is not None and memory.stored.tenant != tenant:
        raise UsageError(
            f"{type(entity).__name__} {entity.ref_id} was loaded in another tenant's scope; save it there"
        )


def _compare_parts(entity: Entity, memory: EntityMemory, change: Change) -> None:
    for name, part in change.table.parts.items():
        if name not in entity.__dict__ and (memory.stored is not None or part.nullable):
            continue  # not loaded, so a save does not change it
        value = value_of(entity, name)
        known = change.stored.get(name)
        if value is None:
            if not part.nullable:
                raise ValidationError("it is required", field=change.where(name))
            if known is not None or name in memory.expired:
                change.emptied.add(name)
        elif isinstance(value, Blob):
            if memory.blobs.get(name) is not value:
                change.blobs[name] = value
        elif isinstance(value, Expired):
            if known is None and name not in memory.expired:
                raise not_content(change.where(name))
        else:
            # encoded also if it turns out to be unchanged: what an edit in place added may be lost
            made = encode_document(type(entity), name, value)
            held = None if known is None else memory.digests.get(name, bytes.fromhex(known.sha256))
            if known is None or known.expired or made.sha256 != held:
                change.documents[name] = made


def not_content(where: str) -> ValidationError:
    """Return the error about an Expired value that was passed to be saved."""
    return ValidationError("an Expired value cannot be saved; pass a document or None", field=where)
