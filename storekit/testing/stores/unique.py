"""Unique keys in memory: raise ConstraintViolation for a second record of a tenant with the same values.

Rows that exchange values in one commit hold none of them until their own operation has written them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from storekit.errors import ConstraintViolation
from storekit.model.save.membership import contains
from storekit.model.table.keys import unique_keys
from storekit.model.table.table import Table
from storekit.model.values.codec import comparable
from storekit.testing.stores.state import Row, Transaction

_SPARE = {"text", "uuid", "bigint", "numeric", "double precision", "date", "timestamptz"}


def check_unique(tx: Transaction, table: Table, rows: Sequence[Row]) -> None:
    """Compare the written rows with all rows of their tenant."""
    written = {row["ref_id"] for row in rows}
    for name, columns, where in unique_keys(table):
        kinds = dict(table.types)
        seen: dict[tuple[Any, ...], str] = {}
        # Written rows come last, so that the error names the new record, not the existing one.
        for ref_id, row in sorted(_rows(tx, table), key=lambda pair: pair[0] in written):
            values = _values(table, columns, row)
            if None in values or not contains(where, row, kinds) or (name, ref_id) in tx.freed:
                continue
            if seen.setdefault(values, ref_id) != ref_id:
                raise ConstraintViolation(f"a constraint rejected the rows ({name})", name)


def free_keys(tx: Transaction, operations: Sequence[Mapping[str, Any]]) -> None:
    """Free the keys of updated rows whose values another row of the commit gets."""
    for entity in sorted({operation["entity"] for operation in operations}):
        table, kinds = tx.table(entity), dict(tx.table(entity).types)
        own = [operation for operation in operations if operation["entity"] == entity]
        before = {row["ref_id"]: _found(tx, table, row) for row in _rows_of(own, "update", "transition")}
        after = [_found(tx, table, row) | {**row} for row in _rows_of(own, "insert", "update", "transition")]
        after += [_found(tx, table, row) | {**row, "deleted_on": None} for row in _rows_of(own, "restore")]
        for name, columns, where in unique_keys(table):
            if not any(_can_spare(table, each) for each in columns):
                continue
            wanted = defaultdict[tuple[Any, ...], set[str]](set)
            for row in after:
                if contains(where, row, kinds):
                    wanted[_values(table, columns, row)].add(row["ref_id"])
            for ref_id, row in before.items():
                values = _values(table, columns, row)
                if None not in values and contains(where, row, kinds) and wanted[values] - {ref_id}:
                    tx.freed.add((name, ref_id))


def _can_spare(table: Table, field: str) -> bool:
    """Return whether a column can have a temporary value."""
    return table.columns[field].enum is None and table.columns[field].sql in _SPARE


def _rows_of(operations: Sequence[Mapping[str, Any]], *verbs: str) -> Iterator[Mapping[str, Any]]:
    return (row for each in operations if each["op"] in verbs for row in each["rows"])


def _found(tx: Transaction, table: Table, row: Mapping[str, Any]) -> Row:
    return tx.row(table.name, row["ref_id"]) or dict.fromkeys([*table.base, *table.columns])


def _values(table: Table, columns: Sequence[str], row: Mapping[str, Any]) -> tuple[Any, ...]:
    kinds = dict(table.types)
    return tuple(comparable(row[column], kinds[column]) for column in columns)


def _rows(tx: Transaction, table: Table) -> Iterator[tuple[str, Row]]:
    for (name, tenant, ref_id), row in tx.state.rows.items():
        if name == table.name and tenant == tx.tenant:
            yield ref_id, row
