"""Which record of a batch an error is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storekit.errors import Conflict, ConstraintViolation, StorekitError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.load import matching
from storekit.model.declare.entity import memory_of
from storekit.model.save.changes import Change
from storekit.model.table.keys import foreign_key_name, foreign_keys, unique_keys
from storekit.model.table.table import Column, Table
from storekit.model.values.codec import key_of, key_of_row

_CURSOR, _FIRST_MOVE = "storekit.cursor", "cursor_natural_key"
Numbered = Sequence[tuple[int, Change]]


async def blame(context: Context, changes: Sequence[Change], error: StorekitError) -> None:
    """Name the fields of a key that was taken, and of several records the one that the error is about.

    One Postgres trip more when a rule of the database refused one of several: it does not say which.

    Raises:
        Conflict: instead of the error, that a cursor which had never been moved was moved by somebody else.
    """
    if isinstance(error, ConstraintViolation) and error.constraint == _FIRST_MOVE:
        record = next(change for change in changes if change.table.name == _CURSOR)
        raise Conflict(record.table.name, record.ref_id, 0, 1) from error
    if isinstance(error, ConstraintViolation):
        found = await _by_constraint(context, changes, error)
    else:
        found = next((c.place for c in changes if c.ref_id == getattr(error, "ref_id", "")), None)
    if found is not None and _are_many(changes):
        error.at(found)


def _are_many(changes: Sequence[Change]) -> bool:
    return len(changes) > 1 or any(change.place for change in changes)


async def _by_constraint(
    context: Context, changes: Sequence[Change], error: ConstraintViolation
) -> int | None:
    for table in {change.table.name: change.table for change in changes}.values():
        own = [(change.place, change) for change in changes if change.table.name == table.name]
        for name, fields, _ in unique_keys(table):
            if name == error.constraint:
                error.name(table.name, fields)
                return await _taken(context, table, fields, own) if _are_many(changes) else None
        for key in foreign_keys(table):
            if _are_many(changes) and foreign_key_name(table, key) == error.constraint:
                return await _dangling(context, table.columns[key.columns[-1]], own)
    return None


async def _taken(context: Context, table: Table, fields: Sequence[str], changes: Numbered) -> int | None:
    """Find the record whose key another before it in the batch has, or else one in the database."""
    if not table.columns.keys() >= set(fields):
        return None
    seen: dict[tuple[Any, ...], tuple[int, Change]] = {}
    for i, change in changes:
        key = key_of(table, fields, _values(change))
        if key in seen:
            return i
        if None not in key:
            seen[key] = i, change
    asked = [tuple(_values(change)[field] for field in fields) for _, change in seen.values()]
    for row in await _asked(context, table, fields, asked):
        found = seen.get(key_of_row(table, fields, row))
        if found is not None and row["ref_id"] != found[1].ref_id:
            return found[0]
    return None


async def _dangling(context: Context, column: Column, changes: Numbered) -> int | None:
    """Find the record that refers to one that is not there."""
    assert column.reference is not None  # noqa: S101 for the type checker
    table = column.reference.table
    if table is None:
        return None
    wanted = {value: i for i, change in reversed(changes) if (value := _values(change).get(column.name))}
    made = {str(change.id) for _, change in changes if change.operation == "insert"}
    found = await _asked(context.acting_on(table), table, ["id"], [(value,) for value in wanted])
    there = {str(row["id"]) for row in found} | made
    return min((i for value, i in wanted.items() if value not in there), default=None)


async def _asked(
    context: Context, table: Table, fields: Sequence[str], values: Sequence[tuple[Any, ...]]
) -> list[Mapping[str, Any]]:
    """Read; whatever hinders that, the error that is being explained is the one to raise."""
    try:
        (rows,) = await calls.read(context, [matching(table, fields, values)]) if values else ([],)
    except StorekitError:
        return []
    return list(rows)


def _values(change: Change) -> Mapping[str, Any]:
    stored = memory_of(change.holder).stored if change.holder is not None else None
    return {**(stored.columns if stored else {}), **change.columns}
