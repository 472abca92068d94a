"""Find which record of a batch an error is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storekit.errors import Conflict, ConstraintViolation, StorekitError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.load import matching
from storekit.model.save.change import Change
from storekit.model.save.memory import column_values
from storekit.model.table.keys import foreign_key_name, foreign_keys, unique_keys
from storekit.model.table.table import Column, Table
from storekit.model.values.codec import key_of, key_of_row

_CURSOR, _FIRST_MOVE = "storekit.cursor", "cursor_natural_key"
"""The table of import cursors, and its natural key, which rejects the second of two concurrent first moves.

Later moves compare versions, so the second of two raises Conflict. A first move must raise the same error.
"""
Numbered = Sequence[tuple[int, Change]]


async def attribute(context: Context, changes: Sequence[Change], error: StorekitError) -> None:
    """Add to an error the fields of a duplicate key, and the position of the record that it is about.

    One more Postgres trip if a constraint rejected one of several records, because the database does not say
    which, or if a soft-deleted record may have the key.

    Raises:
        Conflict: in place of the error, if another writer has moved an import cursor for the first time.
    """
    changes = [change for change in changes if not change.ignored]
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
    """Return whether the call has several records: only then does a position help the caller."""
    return len(changes) > 1 or any(change.place for change in changes)


async def _by_constraint(
    context: Context, changes: Sequence[Change], error: ConstraintViolation
) -> int | None:
    for table in {change.table.name: change.table for change in changes}.values():
        own = [(change.place, change) for change in changes if change.table.name == table.name]
        stem = table.name.rpartition(".")[2]
        for field, name in ("id", f"{stem}_pkey"), ("ref_id", f"{stem}_tenant_id_ref_id_key"):
            if name == error.constraint:
                error.set_fields(table.name, (field,), f"another record has the same {field}")
                return None
        for name, fields, _ in unique_keys(table):
            if name == error.constraint:
                same = f"another record of this tenant has the same {', '.join(fields)}"
                error.set_fields(table.name, fields, same)
                # without soft delete, only a batch needs the look-up: it finds the position
                if not (_are_many(changes) or table.soft_delete):
                    return None
                return await _taken(context, table, fields, own, error)
        for key in foreign_keys(table):
            # the same key refuses to delete the target of the reference
            if foreign_key_name(table, key) == error.constraint and error.is_dangling:
                column = table.columns[key.columns[-1]]
                missing = f"{column.name} refers to a record that does not exist in this tenant"
                error.set_fields(table.name, (column.name,), missing)
                return await _dangling(context, column, own) if _are_many(changes) else None
    return None


async def _taken(
    context: Context,
    table: Table,
    fields: Sequence[str],
    changes: Numbered,
    error: ConstraintViolation,
) -> int | None:
    """Find the record whose key equals that of an earlier record of the batch or of a stored record.

    If the stored record is deleted, the error says so: the caller cannot find it.
    """
    if not table.columns.keys() >= set(fields):
        return None
    seen: dict[tuple[Any, ...], tuple[int, Change]] = {}
    for i, change in changes:
        key = key_of(table, fields, column_values(change))
        if key in seen:
            return i
        if None not in key:
            seen[key] = i, change
    wanted = [tuple(column_values(change)[field] for field in fields) for _, change in seen.values()]
    holders: list[tuple[int, Mapping[str, Any]]] = []
    for row in await _rows(context, table, fields, wanted):
        found = seen.get(key_of_row(table, fields, row))
        if found is not None and row["ref_id"] != found[1].ref_id:
            holders.append((found[0], row))
    if not holders:
        return None
    # an index may leave out deleted records, and then another record with these values holds them
    place, first = holders[0]
    if all(row.get("deleted_on") is not None for each, row in holders if each == place):
        error.set_holder(table.name, tuple(fields), first["ref_id"])
    return place


async def _dangling(context: Context, column: Column, changes: Numbered) -> int | None:
    """Find the record that refers to one that does not exist."""
    assert column.reference is not None  # noqa: S101 for the type checker
    table = column.reference.table
    if table is None:
        return None
    values = [(i, column_values(change).get(column.name)) for i, change in reversed(changes)]
    wanted = {value: i for i, value in values if value}
    made = {str(change.id) for _, change in changes if change.operation == "insert"}
    found = await _rows(context.acting_on(table), table, ["id"], [(value,) for value in wanted])
    existing = {str(row["id"]) for row in found} | made
    return min((i for value, i in wanted.items() if value not in existing), default=None)


async def _rows(
    context: Context, table: Table, fields: Sequence[str], values: Sequence[tuple[Any, ...]]
) -> list[Mapping[str, Any]]:
    """Read rows; return none if that fails, because the caller is about to raise the original error."""
    try:
        (rows,) = await calls.read(context, [matching(table, fields, values)]) if values else ([],)
    except StorekitError:
        return []
    return list(rows)
