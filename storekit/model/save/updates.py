"""Build a `Change` from a partial update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from pydantic import ValidationError as PydanticError

from storekit.errors import UsageError, ValidationError
from storekit.errors.shown import SHOWN
from storekit.model.declare.entity import Entity
from storekit.model.declare.validators import validate_field, validate_record
from storekit.model.save.change import Change, Request
from storekit.model.save.changes import not_content
from storekit.model.save.documents import encode_document
from storekit.model.save.memory import memory_of, stored_column
from storekit.model.table.fields import Expired
from storekit.model.table.table import RESERVED
from storekit.model.values.blob import Blob
from storekit.model.values.codec import changed as column_changed
from storekit.model.values.codec import encode_column
from storekit.model.values.walk import reasons

_ABSENT = object()


def held(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an update that may be repeated, with iterators read: that is possible once."""
    return {
        name: list(value) if isinstance(value, Iterator) and not hasattr(value, "read") else value
        for name, value in values.items()
    }


def copied(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the values of an update that is carried out later: the caller may edit them until then.

    The content of a Blob is not copied.
    """
    return {name: _copied(value) for name, value in held(values).items()}


def _copied(value: Any) -> Any:
    try:
        return deepcopy(value)
    except Exception:  # it has no copy, or code of the user failed: it is validated as it is
        return value


def change_from(
    entity_class: type[Entity], ref_id: str, values: Mapping[str, Any], record: Entity | None = None
) -> Change:
    """Read a partial update.

    Args:
        record: the loaded record, if `looks_at_record(entity_class)`. It is changed as assignments would.

    Raises:
        ValidationError: a field is unknown, or a value does not fit its field or the record.
        UsageError: the class is append-only.
        NotLoaded: a validator reads a document, which is never loaded here.
    """
    table, owner = entity_class.storekit_table, entity_class.__name__
    if not table.mutable:
        raise UsageError(f"{owner} is append-only; derive it from Mutable to change it")
    change = Change(owner, table, "update", ref_id)
    for name in values:
        if name not in table.columns and name not in table.parts:
            if name in RESERVED:
                hint = "; to require a version, pass expected_version" if name == "version" else ""
                raise ValidationError(f"storekit sets it; omit it{hint}", field=change.where(name))
            known = ", ".join([*table.columns, *table.parts])
            raise ValidationError(
                f"unknown field; {owner} has {known}", field=change.where(str(name)[:SHOWN])
            )
    for name, value in _validated(entity_class, values, record).items():
        if name in table.columns:
            change.columns[name] = encode_column(table.columns[name], value, change.where(name))
        elif value is None:
            change.emptied.add(name)
        elif isinstance(value, Blob):
            change.blobs[name] = value
        elif isinstance(value, Expired):
            raise not_content(change.where(name))
        else:
            change.documents[name] = encode_document(entity_class, name, value)
    change.declared, change.request = change.columns, Request("update", frozenset(values))
    return change


def check_record(record: Entity, changed: str) -> None:
    """Run the validators of the whole record, after a field was changed.

    Raises:
        ValidationError: a validator refused the record.
        NotLoaded: a validator reads a document that is not loaded.
    """
    try:
        validate_record(record, changed)
    except PydanticError as error:
        raise ValidationError(reasons(error), entity=type(record).__name__) from error


def _validated(
    entity_class: type[Entity], values: Mapping[str, Any], record: Entity | None
) -> Mapping[str, Any]:
    """Return the values to write: the given ones, and those that a validator of the record assigned."""
    if record is None:
        return {name: _field(entity_class, name, raw, {}) for name, raw in values.items()}
    before = {**record.__dict__}
    # in the order of the class, so that the validator of a field finds the new values of the fields before it
    given = [name for name in entity_class.model_fields if name in values]
    for name in given:
        record.__dict__[name] = _field(entity_class, name, values[name], record.__dict__)
        record.__pydantic_fields_set__.add(name)
    if given:
        check_record(record, given[-1])
    made = [name for name in record.__dict__ if name not in values and _differs(record, before, name)]
    return {name: record.__dict__[name] for name in (*given, *made)}


def _field(entity_class: type[Entity], name: str, value: Any, others: Mapping[str, Any]) -> Any:
    try:
        return validate_field(entity_class, name, value, others)
    except PydanticError as error:
        raise ValidationError(reasons(error), field=f"{entity_class.__name__}.{name}") from error


def _differs(record: Entity, before: Mapping[str, Any], name: str) -> bool:
    """Return whether a validator changed a field that the caller did not name."""
    table, now = type(record).storekit_table, record.__dict__[name]
    if name in table.parts:
        return now is not before.get(name, _ABSENT)
    if name not in table.columns:
        return False
    encoded = encode_column(table.columns[name], now, f"{type(record).__name__}.{name}")
    if name in memory_of(record).unreadable:
        return True
    return column_changed(table.columns[name], encoded, stored_column(record, name))
