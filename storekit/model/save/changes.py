"""Build a `Change` from an object or from a partial update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import ValidationError as PydanticError

from storekit.errors import UsageError, ValidationError
from storekit.model.declare.entity import LOADING, Entity
from storekit.model.declare.stored import EntityMemory
from storekit.model.save.change import Change
from storekit.model.save.documents import adapter, digest, encode_document, reasons
from storekit.model.save.memory import memory_of
from storekit.model.table.fields import Expired
from storekit.model.values.blob import Blob
from storekit.model.values.codec import encode_column

_UNKNOWN = object()
"""The stored value of a column that the class cannot hold: no value equals it."""


def change_of(entity: Entity, tenant: UUID, expected_version: int | None = None) -> Change:
    """Compare an object with what was loaded or saved.

    Raises:
        ValidationError: a value that cannot be stored.
        UsageError: the object belongs to another tenant, or is new and `expected_version` was given.
    """
    memory, table, owner = memory_of(entity), type(entity).storekit_table, type(entity).__name__
    _require_tenant(entity, memory, tenant)
    values = entity.__dict__
    encoded = {
        name: encode_column(column, values[name], f"{owner}.{name}")
        for name, column in table.columns.items()
        if name in values or name not in memory.unreadable
    }
    stored = memory.stored
    if stored is None:
        if expected_version is not None:
            raise UsageError(f"{owner} {entity.ref_id} is new and has no version; omit expected_version")
        change = Change(owner, table, "insert", entity.ref_id, entity.id, None, encoded)
        change.declared = {name: value for name, value in encoded.items() if _is_declared(entity, name)}
    else:
        expected = entity.version if expected_version is None else expected_version
        held = stored.columns
        columns = {name: value for name, value in encoded.items() if value != held.get(name, _UNKNOWN)}
        change = Change(owner, table, "update", entity.ref_id, entity.id, expected, columns)
        change.stored, change.declared = stored.parts, encoded
    change.holder = entity
    _compare_parts(entity, memory, change)
    return change


def _require_tenant(entity: Entity, memory: EntityMemory, tenant: UUID) -> None:
    if memory.stored is not None and memory.stored.tenant != tenant:
        raise UsageError(
            f"{type(entity).__name__} {entity.ref_id} was loaded in another tenant's scope; save it there"
        )


def _is_declared(entity: Entity, name: str) -> bool:
    """Return whether a column is part of the fingerprint: the caller set it, or its default is a constant.

    A default factory returns a different value when another process repeats the same request.
    """
    info = type(entity).model_fields[name]
    untouched = info.default_factory is not None or entity.__dict__[name] == info.default
    return name in entity.model_fields_set or not untouched


def _compare_parts(entity: Entity, memory: EntityMemory, change: Change) -> None:
    for name, part in change.table.parts.items():
        if name not in entity.__dict__:  # not loaded, so a save does not change it
            continue
        value = entity.__dict__[name]
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
                raise _not_content(change.where(name))
        elif known is None or known.expired:
            change.documents[name] = encode_document(type(entity), name, value)
        else:
            held = memory.digests.get(name, bytes.fromhex(known.sha256))
            if digest(value, change.where(name)) != held:
                change.documents[name] = encode_document(type(entity), name, value)


def _not_content(where: str) -> ValidationError:
    return ValidationError("an Expired value cannot be saved; pass a document or None", field=where)


def change_from(entity_class: type[Entity], ref_id: str, values: Mapping[str, Any]) -> Change:
    """Read a partial update.

    Raises:
        ValidationError: a field is unknown, or a value does not fit its field.
        UsageError: the class is append-only.
    """
    table, owner = entity_class.storekit_table, entity_class.__name__
    if not table.mutable:
        raise UsageError(f"{owner} is append-only; derive it from Mutable to change it")
    change = Change(owner, table, "update", ref_id)
    for name, raw in values.items():
        if name not in table.columns and name not in table.parts:
            known = ", ".join([*table.columns, *table.parts])
            raise ValidationError(f"unknown field; {owner} has {known}", field=change.where(name))
        value = _validated(entity_class, name, raw)
        if name in table.columns:
            change.columns[name] = encode_column(table.columns[name], value, change.where(name))
        elif value is None:
            change.emptied.add(name)
        elif isinstance(value, Blob):
            change.blobs[name] = value
        elif isinstance(value, Expired):
            raise _not_content(change.where(name))
        else:
            change.documents[name] = encode_document(entity_class, name, value)
    change.declared = change.columns
    return change


def _validated(entity_class: type[Entity], name: str, value: Any) -> Any:
    """Validate one field, with the class's validators unless one of them needs the other fields too."""
    decorators = entity_class.__pydantic_decorators__
    try:
        if any(each.info.mode != "before" for each in decorators.model_validators.values()):
            return adapter(entity_class, name).validate_python(value)
        blank = entity_class.model_construct()
        entity_class.__pydantic_validator__.validate_assignment(blank, name, value, context=LOADING)
    except PydanticError as error:
        raise ValidationError(reasons(error), field=f"{entity_class.__name__}.{name}") from error
    return blank.__dict__[name]
