"""What differs between an entity and what the database holds of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import ValidationError as PydanticError

from storekit.errors import UsageError, ValidationError
from storekit.model.declare.entity import LOADING, Entity, memory_of
from storekit.model.declare.stored import StoredPart
from storekit.model.save.documents import Encoded, adapter, digest, encode_document, reasons
from storekit.model.save.plan import Operation
from storekit.model.table.fields import Expired
from storekit.model.table.table import Table
from storekit.model.values.blob import Blob
from storekit.model.values.codec import encode_column


@dataclass(slots=True)
class Change:
    """One row's change, before its blobs are measured."""

    owner: str
    table: Table
    operation: Operation
    ref_id: str
    id: UUID | None = None
    expected_version: int | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    """Encoded values to write."""
    blobs: dict[str, Blob] = field(default_factory=dict)
    documents: dict[str, Encoded] = field(default_factory=dict)
    emptied: set[str] = field(default_factory=set)
    stored: Mapping[str, StoredPart] = field(default_factory=dict)
    declared: dict[str, Any] = field(default_factory=dict)
    """Encoded values that the fingerprint counts."""
    holder: Entity | None = None
    """The object whose change it is, if there is one."""
    place: int = 0
    """Which of the records it is that the caller named."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return self.operation == "update" and not (
            self.columns or self.blobs or self.documents or self.emptied
        )

    def where(self, name: str) -> str:
        """Name a field as error messages do."""
        return f"{self.owner}.{name}"

    def relinked(self) -> Iterator[str]:
        """Name the documents that link a changed blob and must be written afresh with the same body."""
        touched = self.blobs.keys() | self.emptied
        for part in self.table.parts.values():
            known = self.stored.get(part.name)
            if known is None or known.expired or part.name in self.documents.keys() | self.emptied:
                continue
            if not touched.isdisjoint(part.links):
                yield part.name


def change_of(entity: Entity, tenant: UUID, expected_version: int | None = None) -> Change:
    """Compare an entity with what was loaded or saved.

    Raises:
        ValidationError: a value that cannot be stored.
        UsageError: the entity is another tenant's.
    """
    table, stored = type(entity).storekit_table, memory_of(entity).stored
    owner = type(entity).__name__
    if stored is not None and stored.tenant != tenant:
        raise UsageError(f"{owner} {entity.ref_id} was loaded in another tenant's scope; save it there")
    encoded = {
        name: encode_column(column, entity.__dict__[name], f"{owner}.{name}")
        for name, column in table.columns.items()
    }
    if stored is None and expected_version is not None:
        raise UsageError(
            f"{owner} {entity.ref_id} is new and has no version to compare; leave expected_version"
        )
    if stored is None:
        change = Change(owner, table, "insert", entity.ref_id, entity.id, None, encoded)
        change.declared = {name: value for name, value in encoded.items() if _is_declared(entity, name)}
    else:
        expected = entity.version if expected_version is None else expected_version
        columns = {name: value for name, value in encoded.items() if value != stored.columns[name]}
        change = Change(owner, table, "update", entity.ref_id, entity.id, expected, columns)
        change.stored, change.declared = stored.parts, encoded
    _compare_parts(entity, change)
    change.holder = entity
    return change


def _is_declared(entity: Entity, name: str) -> bool:
    info = type(entity).model_fields[name]
    untouched = info.default_factory is not None or entity.__dict__[name] == info.default
    return name in entity.model_fields_set or not untouched


def _compare_parts(entity: Entity, change: Change) -> None:
    for name, part in change.table.parts.items():
        if name not in entity.__dict__:
            continue
        value = entity.__dict__[name]
        known = change.stored.get(name)
        if value is None:
            if not part.nullable:
                raise ValidationError("it is required", field=change.where(name))
            if known is not None or name in memory_of(entity).expired:
                change.emptied.add(name)
        elif isinstance(value, Blob):
            if memory_of(entity).blobs.get(name) is not value:
                change.blobs[name] = value
        elif isinstance(value, Expired):
            if known is None and name not in memory_of(entity).expired:
                raise ValidationError("Expired is what a read gives, not content", field=change.where(name))
        elif known is None or known.expired:
            change.documents[name] = encode_document(type(entity), name, value)
        else:
            held = memory_of(entity).digests.get(name, bytes.fromhex(known.sha256))
            if digest(value, change.where(name)) != held:
                change.documents[name] = encode_document(type(entity), name, value)


def change_from(entity_class: type[Entity], ref_id: str, values: Mapping[str, Any]) -> Change:
    """Read a partial update.

    Raises:
        ValidationError: an unknown field, or a value that its field does not take.
        UsageError: the class is append-only.
    """
    table, owner = entity_class.storekit_table, entity_class.__name__
    if not table.mutable:
        raise UsageError(f"{owner} is append-only: derive it from Mutable to change it")
    change = Change(owner, table, "update", ref_id)
    for name, raw in values.items():
        if name not in table.columns and name not in table.parts:
            known = ", ".join([*table.columns, *table.parts])
            raise ValidationError(f"there is no such field; {owner} has {known}", field=change.where(name))
        value = _validated(entity_class, name, raw)
        if name in table.columns:
            change.columns[name] = encode_column(table.columns[name], value, change.where(name))
        elif value is None:
            change.emptied.add(name)
        elif isinstance(value, Blob):
            change.blobs[name] = value
        elif isinstance(value, Expired):
            raise ValidationError("Expired is what a read gives, not content", field=change.where(name))
        else:
            change.documents[name] = encode_document(entity_class, name, value)
    change.declared = change.columns
    return change


def _validated(entity_class: type[Entity], name: str, value: Any) -> Any:
    """Validate one field; with its own validators, unless one of the class looks at other fields too."""
    decorators = entity_class.__pydantic_decorators__
    try:
        if any(each.info.mode != "before" for each in decorators.model_validators.values()):
            return adapter(entity_class, name).validate_python(value)
        blank = entity_class.model_construct()
        entity_class.__pydantic_validator__.validate_assignment(blank, name, value, context=LOADING)
    except PydanticError as error:
        raise ValidationError(reasons(error), field=f"{entity_class.__name__}.{name}") from error
    return blank.__dict__[name]
