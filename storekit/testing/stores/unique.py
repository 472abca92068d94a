"""Unique keys in memory: raise ConstraintViolation for a second record of a tenant with the same values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from storekit.errors import ConstraintViolation
from storekit.model.table.indexes import not_null
from storekit.model.table.keys import unique_keys
from storekit.model.table.table import Table
from storekit.model.values.codec import comparable
from storekit.testing.stores.state import Row, Transaction


def check_unique(tx: Transaction, table: Table, rows: Sequence[Row]) -> None:
    """Compare the written rows with all rows of their tenant."""
    written = {row["ref_id"] for row in rows}
    for name, columns, where in unique_keys(table):
        kinds = dict(table.types)
        seen: dict[tuple[Any, ...], str] = {}
        # Written rows come last, so that the error names the new record, not the existing one.
        for ref_id, row in sorted(_rows(tx, table), key=lambda pair: pair[0] in written):
            values = tuple(comparable(row[column], kinds[column]) for column in columns)
            if None in values or not _held(where, row, kinds):
                continue
            if seen.setdefault(values, ref_id) != ref_id:
                raise ConstraintViolation(f"{ref_id} duplicates values of another record in {name}", name)


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
