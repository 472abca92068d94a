"""What a unit of work was asked to do, and the changes that this comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from storekit.errors import ConstraintViolation, StorekitError, UsageError, ValidationError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.load import matching
from storekit.flows.write.planning import documents_of, off_loop
from storekit.flows.write.remove import removal
from storekit.flows.write.update import check_update, look_up
from storekit.model.declare.entity import Entity
from storekit.model.save.changes import Change, change_from, change_of
from storekit.model.save.load import entity_from
from storekit.model.table.keys import natural_key_name
from storekit.model.table.table import Table
from storekit.model.values.codec import encode_column, key_of, key_of_row
from storekit.model.values.limits import check_version

Verb = Literal["save", "update", "delete", "restore", "upsert", "insert_ignore"]
_KEYED = {"upsert", "insert_ignore"}
Known = dict[tuple[str, tuple[Any, ...]], Mapping[str, Any]]
"""Rows that are there already, by table and natural key."""
_BEFORE = -1


@dataclass(slots=True, eq=False)
class Asked:
    """One record, and what shall become of it."""

    verb: Verb
    entity_class: type[Entity]
    ref_id: str
    entity: Entity | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    expected_version: int | None = None
    place: int = 0
    """Which of the records it is that the caller named."""
    outcome: Entity | None = None
    """What the record is once it is saved; None if it was there already and was ignored."""

    @property
    def table(self) -> Table:
        """Where it lives."""
        return self.entity_class.storekit_table

    @property
    def keyed(self) -> bool:
        """Whether its natural key decides what it is."""
        return self.verb in _KEYED


def check(asked: Asked) -> Asked:
    """Refuse what its class cannot do. No I/O.

    Raises:
        UsageError: what to declare or to call instead.
    """
    table, name = asked.table, asked.entity_class.__name__
    if asked.verb == "update":
        check_update(asked.entity_class, asked.ref_id, asked.values, asked.expected_version)
    elif asked.verb == "delete" or asked.verb == "restore":
        removal(asked.entity_class, asked.verb, asked.ref_id, asked.expected_version)
    check_version(asked.expected_version)
    if asked.keyed and not table.natural_key:
        raise UsageError(f'{name} has no natural key; declare it: natural_key=("external_id",)')
    if asked.verb == "upsert" and not table.mutable:
        raise UsageError(f"{name} is append-only; insert_ignore adds what is new")
    if asked.keyed and asked.entity is not None and asked.entity.version is not None:
        raise UsageError(f"{name} {asked.ref_id} was saved or loaded already; save() writes its changes")
    return asked


async def resolve(context: Context, asked: Sequence[Asked], before: Sequence[Asked] = ()) -> list[Change]:
    """Find out what is to be changed, beside what was resolved before and is not to be seen yet.

    One trip if natural keys decide, one if a document must follow a blob that an update changes; else none.

    Raises:
        ValidationError, UsageError, ConstraintViolation: what cannot be stored; `.index` tells whose it is.
    """
    known = await _known(context, [each for each in asked if each.keyed])
    taken = {_key(each): _BEFORE for each in before if each.keyed and each.outcome is not None}

    def work() -> list[Change]:
        return [change for each in asked for change in one(each)]

    def one(each: Asked) -> Iterator[Change]:
        try:
            change = _keyed(each, context, known, taken) if each.keyed else _plain(each, context)
        except StorekitError as error:
            if len(asked) > 1 or each.place:
                error.at(each.place)
            raise
        if change is not None:
            change.place = each.place
            yield change

    long = len(asked) > 1 or any(documents_of(each.table) for each in asked)
    changes = await off_loop(context, work, long=long)
    updates = {each.ref_id: each.entity_class for each in asked if each.verb == "update"}
    await look_up(context, [(updates[c.ref_id], c) for c in changes if c.ref_id in updates])
    return changes


def _plain(asked: Asked, context: Context) -> Change:
    if asked.entity is not None:
        asked.outcome = asked.entity
        return change_of(asked.entity, context.actor.tenant, asked.expected_version)
    if asked.verb == "update":
        change = change_from(asked.entity_class, asked.ref_id, asked.values)
        change.expected_version = asked.expected_version
        return change
    assert asked.verb == "delete" or asked.verb == "restore"  # noqa: S101 what else has no entity
    return removal(asked.entity_class, asked.verb, asked.ref_id, asked.expected_version)


def _keyed(
    asked: Asked, context: Context, known: Known, taken: dict[tuple[str, tuple[Any, ...]], int]
) -> Change | None:
    """Insert what is new; of what is there, ignore it or write the fields that were given."""
    assert asked.entity is not None  # noqa: S101 it has a natural key
    key = _key(asked)
    first = taken.setdefault(key, asked.place)
    if first != asked.place and asked.verb == "upsert":
        other = f"[{first}]" if first != _BEFORE else "one that was flushed before"
        raise ValidationError(f"its natural key is that of {other}; give each record once")
    if first != asked.place or (key in known and asked.verb == "insert_ignore"):
        # saved after all by a former call that could not tell so: then it is new to this one
        asked.outcome = asked.entity if asked.entity.version is not None else None
        return None
    if key not in known:
        asked.outcome = asked.entity
        return change_of(asked.entity, context.actor.tenant)
    row = known[key]
    if row.get("deleted_on") is not None:
        raise ConstraintViolation(
            f"its natural key is held by {asked.table.name} {row['ref_id']}, which is deleted; restore that",
            natural_key_name(asked.table),
        )
    found = entity_from(asked.entity_class, row)
    given = asked.entity.model_fields_set - {*asked.table.natural_key}
    found.__dict__.update({name: asked.entity.__dict__[name] for name in given})
    asked.outcome = found
    change = change_of(found, context.actor.tenant)
    if not (change.blobs or change.documents or change.emptied):
        change.expected_version = None  # the given values shall be there, whatever was before
    return change


async def _known(context: Context, asked: Sequence[Asked]) -> Known:
    tables = {each.table.name: each.table for each in asked}
    if not tables:
        return {}
    statements = []
    for table in tables.values():
        natural = [_natural(each) for each in asked if each.table is table]
        values = [tuple(encoded[name] for name in table.natural_key) for encoded in natural]
        statements.append(matching(table, table.natural_key, values))
    answers = await calls.read(context, statements)
    return {
        (table.name, key_of_row(table, table.natural_key, row)): row
        for table, rows in zip(tables.values(), answers, strict=True)
        for row in rows
    }


def _key(asked: Asked) -> tuple[str, tuple[Any, ...]]:
    return asked.table.name, key_of(asked.table, asked.table.natural_key, _natural(asked))


def _natural(asked: Asked) -> dict[str, Any]:
    """Encode the natural key of a record."""
    owner, entity = asked.entity_class.__name__, asked.entity
    return {
        name: encode_column(asked.table.columns[name], entity.__dict__[name], f"{owner}.{name}")
        for name in asked.table.natural_key
        if entity is not None
    }
