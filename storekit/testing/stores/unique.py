"""Unique keys in memory: raise ConstraintViolation for a second record of a tenant with the same values.

Rows that exchange values in one commit hold none of them until their own operation has written them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from storekit.errors import ConstraintViolation
from storekit.model.table.indexes import not_null
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
            if None in values or not _held(where, row, kinds) or (name, ref_id) in tx.freed:
                continue
            if seen.setdefault(values, ref_id) != ref_id:
                raise ConstraintViolation(f"a constraint rejected the rows ({name})", name)


def free_keys(tx: Transaction, operations: Sequence[Mapping[str, Any]]) -> None:
    """Free the keys of updated rows whose values another row of the commit gets.

    As in Postgres, the operation must set a column that can have a temporary value.
    """
    for entity in {operation["entity"] for operation in operations}:
        table = tx.table(entity)
        rows = [
            row
            for operation in operations
            if operation["entity"] == entity and operation["op"] in {"insert", "update"}
            for row in operation["rows"]
        ]
        for name, columns, _ in unique_keys(table):
            spare = {each for each in columns if _can_spare(table, each)}
            after = {row["ref_id"]: _values(table, columns, _found(tx, table, row) | row) for row in rows}
            for row in rows:
                held = _values(table, columns, _found(tx, table, row) or row)
                taken = any(held == values for ref_id, values in after.items() if ref_id != row["ref_id"])
                if taken and spare & row.keys() and None not in held:
                    tx.freed.add((name, row["ref_id"]))


def _can_spare(table: Table, field: str) -> bool:
    """Return whether a column of a key can have a temporary value: a reference must name a row."""
    column = table.columns[field]
    return column.reference is None and column.sql in _SPARE


def _found(tx: Transaction, table: Table, row: Mapping[str, Any]) -> Row:
    return tx.row(table.name, row["ref_id"]) or {}


def _values(table: Table, columns: Sequence[str], row: Mapping[str, Any]) -> tuple[Any, ...]:
    kinds = dict(table.types)
    return tuple(comparable(row[column], kinds[column]) for column in columns)


def _rows(tx: Transaction, table: Table) -> Iterator[tuple[str, Row]]:
    for (name, tenant, ref_id), row in tx.state.rows.items():
        if name == table.name and tenant == tx.tenant:
            yield ref_id, row


def _held(where: Mapping[str, Any], row: Row, kinds: Mapping[str, str]) -> bool:
    """Return whether a partial key includes a row."""
    return all(_meets(wanted, row[column], kinds[column]) for column, wanted in where.items())


def _meets(wanted: Any, value: Any, kind: str) -> bool:
    if wanted is None or wanted is not_null:
        return (value is None) == (wanted is None)
    several = wanted if isinstance(wanted, tuple) else (wanted,)
    return comparable(value, kind) in [comparable(each, kind) for each in several]
