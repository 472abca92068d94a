"""`Operation`: what the caller wants to do with one record. It is checked when it is created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from storekit.errors import UsageError, ValidationError
from storekit.flows.read.load import checked
from storekit.model.declare.entity import Entity
from storekit.model.save.change import Change
from storekit.model.save.memory import check_replayed, note_request, request_of
from storekit.model.save.updates import copied
from storekit.model.table.table import Table
from storekit.model.values.limits import check_version

Verb = Literal["save", "advance", "update", "transition", "delete", "restore", "upsert", "insert_ignore"]
"""What a caller can ask for; `advance` saves the record of an import cursor."""
_KEYED = {"upsert", "insert_ignore"}


@dataclass(slots=True, eq=False)
class Operation:
    """One record, and what to do with it.

    Raises:
        UsageError: the class does not allow this operation; the message says what to declare or call instead.
        ValidationError: an invalid ref_id, version or update.
    """

    verb: Verb
    entity_class: type[Entity]
    ref_id: str
    entity: Entity | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    expected_version: int | None = None
    place: int = 0
    """The position of the record in the caller's list or unit of work."""
    table: Table = field(init=False)
    keyed: bool = field(init=False)
    """Whether the natural key decides if the record is inserted."""
    reason: str | None = None
    """The text that the event of the change gets."""
    key: str | None = None
    """The idempotency key of the unit of work."""
    identity: Any = None
    """The part of the operation that the fingerprint of the unit covers."""
    outcome: Entity | None = None
    """The record as it will be saved; None if it exists already and was ignored."""

    def __post_init__(self) -> None:
        self.table, self.keyed = self.entity_class.storekit_table, self.verb in _KEYED
        if self.expected_version is not None:
            check_version(self.expected_version)
        if self.verb == "update":
            check_update(self.entity_class, self.ref_id, self.values)
            self.values = copied(self.values)
        elif self.verb == "delete" or self.verb == "restore":
            check_removal(self.entity_class, self.verb, self.ref_id)
        elif self.verb == "transition":
            checked([self.ref_id])
        elif self.keyed:
            self._check_keyed()
        elif self.entity is not None:
            check_replayed([self.entity], None)

    def _check_keyed(self) -> None:
        table, name = self.table, self.entity_class.__name__
        if not table.natural_key:
            raise UsageError(f'{name} has no natural key; declare it: natural_key=("external_id",)')
        if self.verb == "upsert" and not table.mutable:
            raise UsageError(f"{name} is append-only and cannot be upserted; use insert_ignore()")
        again = self.entity is not None and request_of(self.entity, self.key) is not None
        if self.entity is not None and self.entity.version is not None and not again:
            raise UsageError(
                f"{name} {self.ref_id} was saved or loaded before; use save() to write its changes"
            )


def note_identities(operations: Sequence[Operation], changes: Sequence[Change], key: str | None) -> None:
    """Set the `identity` of each operation. With a key, each operation has a change."""
    for each, change in zip(operations, changes, strict=True) if key is not None else ():
        each.identity = change.identity


def note_requests(operations: Sequence[Operation], key: str | None) -> None:
    """Remember a request in its objects, so that a repetition with the same objects is the same request."""
    for each in operations:
        if key is not None and each.entity is not None and each.identity is not None:
            note_request(each.entity, key, each.identity)


def check_update(entity: type[Entity], ref_id: str, values: Mapping[str, Any]) -> None:
    """Check the arguments of a partial update, except the values of its fields.

    Raises:
        UsageError, ValidationError: an invalid ref_id, or values that are not a mapping.
    """
    checked([ref_id])
    if not isinstance(values, Mapping):
        raise ValidationError(
            f"the values must be a mapping of fields to values, not {type(values).__name__}",
            entity=entity.__name__,
        )


def check_removal(entity: type[Entity], verb: Literal["delete", "restore"], ref_id: str) -> None:
    """Check that the records of a class can be deleted or restored.

    Raises:
        UsageError: the class does not allow it, or the ref_id is an id.
        ValidationError: the ref_id is not a ULID.
    """
    table, owner = entity.storekit_table, entity.__name__
    if verb == "delete" and not (table.mutable or table.soft_delete):
        raise UsageError(f"{owner} is append-only; derive it from SoftDelete or Mutable")
    if verb == "restore" and not table.soft_delete:
        raise UsageError(f"{owner} does not support restore; derive it from SoftDelete")
    checked([ref_id])
