"""Find records by their natural key, and recognise when another writer has changed one since.

The look-up and the commit are two transactions, so two writers may both find that a key is free. The database
lets one of them commit. The other one violates the unique key, looks the key up again and finds the new
record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from storekit.errors import Conflict, ConstraintViolation, NotFound, StorekitError, ValidationError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.load import matching
from storekit.flows.write.operations import Operation
from storekit.model.declare.validators import has_model_validators
from storekit.model.save.change import Change, Request
from storekit.model.save.changes import change_of, value_of
from storekit.model.save.defaults import edited_defaults
from storekit.model.save.load import judged_from
from storekit.model.save.updates import check_record
from storekit.model.table.keys import natural_key_name
from storekit.model.values.codec import encode_column, key_of, key_of_row

_BEFORE = -1
"""The place of a record that an earlier flush contains."""
Key = tuple[str, tuple[Any, ...]]
"""A table and the values of its natural key, made comparable."""


@dataclass(slots=True)
class Keys:
    """What is known about the natural keys of some operations."""

    known: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict)
    """The rows that exist already."""
    taken: dict[Key, int] = field(default_factory=dict)
    """The place of the first operation with each key."""

    def change(self, operation: Operation, context: Context, *, whole: bool) -> Change | None:
        """Return the change that inserts a new record or updates an existing one.

        A record that is ignored has no change, or one that writes nothing if `whole` is set.

        Raises:
            ValidationError: another record of the same call has this key.
            ConstraintViolation: the record that has this key is deleted.
        """
        entity, key = operation.entity, _key(operation)
        assert entity is not None  # noqa: S101 it has a natural key
        first = self.taken.setdefault(key, operation.place)
        if first != operation.place and operation.verb == "upsert":
            other = "a record that was flushed before" if first == _BEFORE else f"record [{first}]"
            values = ", ".join(f"{name}={value!r:.60}" for name, value in _natural(operation).items())
            raise ValidationError(f"duplicate natural key: {other} has {values} too")
        if first != operation.place or (key in self.known and operation.verb == "insert_ignore"):
            # the version is set if an earlier save of this object had an unknown outcome and turned out to be
            # committed
            operation.outcome = entity if entity.version is not None else None
            if not whole:
                return None
            change = change_of(entity, context.actor.tenant)
            change.ignored = True
        elif key not in self.known:
            operation.outcome = entity
            change = change_of(entity, context.actor.tenant)
        else:
            change = _change_of_known(operation, self.known[key], context)
        given = (entity.model_fields_set | edited_defaults(entity)).union(operation.table.natural_key)
        change.request = Request(operation.verb, frozenset(given), entity.id)
        return change


async def look_up_keys(
    context: Context, operations: Sequence[Operation], before: Sequence[Operation]
) -> Keys:
    """Find which natural keys exist already. One trip.

    A look-up cannot find the operations in `before`, which are flushed but not committed.
    """
    keyed = [each for each in operations if each.keyed]
    tables = {each.table.name: each.table for each in keyed}
    statements = []
    for table in tables.values():
        natural = [_natural(each) for each in keyed if each.table is table]
        values = [tuple(encoded[name] for name in table.natural_key) for encoded in natural]
        statements.append(matching(table, table.natural_key, values))
    answers = await calls.read(context, statements)
    known = {
        (table.name, key_of_row(table, table.natural_key, row)): row
        for table, rows in zip(tables.values(), answers, strict=True)
        for row in rows
    }
    return Keys(known, {_key(each): _BEFORE for each in before if each.keyed and each.outcome is not None})


def raced(operations: Sequence[Operation], error: StorekitError) -> bool:
    """Return whether the error means that another writer was faster since the look-up.

    The other writer inserted a record with the natural key, or updated or deleted the record that had it. An
    update without an expected version is repeated too: it compares the version by itself if validators look
    at the record, or if a document must be copied.
    """
    if isinstance(error, Conflict) and any(
        each.verb == "update" and each.expected_version is None and each.ref_id == error.ref_id
        for each in operations
    ):
        return True
    keyed = [each for each in operations if each.keyed]
    if isinstance(error, ConstraintViolation):
        return any(error.constraint == natural_key_name(each.table) for each in keyed)
    return isinstance(error, Conflict | NotFound) and error.ref_id in {
        each.outcome.ref_id for each in keyed if each.outcome is not None
    }


def _change_of_known(operation: Operation, row: Mapping[str, Any], context: Context) -> Change:
    """Return the change that writes the given fields into the record that has the key."""
    assert operation.entity is not None  # noqa: S101 it has a natural key
    table = operation.table
    if row.get("deleted_on") is not None:
        refused = ConstraintViolation("the natural key is taken", natural_key_name(table))
        refused.set_holder(table.name, table.natural_key, row["ref_id"])
        raise refused
    found = judged_from(operation.entity_class, row)
    given = (operation.entity.model_fields_set | edited_defaults(operation.entity)) - {*table.natural_key}
    found.__dict__.update({name: value_of(operation.entity, name) for name in sorted(given)})
    judged = bool(given) and has_model_validators(operation.entity_class)
    if judged:
        check_record(found, next(iter(given)))
    operation.outcome = found
    change = change_of(found, context.actor.tenant)
    if not judged and _overwrites(change, given):
        # nothing that is written depends on the stored record, so a concurrent change is not a conflict. All
        # given columns are written then: if only those that differ were, two concurrent upserts could leave a
        # mixture of both
        change.expected_version, change.given = None, given & table.columns.keys()
    return change


def _overwrites(change: Change, given: Set[str]) -> bool:
    """Return whether all given parts are written and no document links a blob."""
    touched = change.blobs.keys() | change.documents.keys() | change.emptied
    specs = change.table.parts
    linked = {name for spec in specs.values() if spec.links for name in (spec.name, *spec.links)}
    return touched.isdisjoint(linked) and given & specs.keys() <= touched


def _key(operation: Operation) -> Key:
    table = operation.table
    return table.name, key_of(table, table.natural_key, _natural(operation))


def _natural(operation: Operation) -> dict[str, Any]:
    """Return the encoded natural key of a record."""
    owner, entity = operation.entity_class.__name__, operation.entity
    assert entity is not None  # noqa: S101 it has a natural key
    return {
        name: encode_column(operation.table.columns[name], value_of(entity, name), f"{owner}.{name}")
        for name in operation.table.natural_key
    }
