"""Find the references of a class by their short names: `run` is the column `run_id`."""

from __future__ import annotations

from storekit.errors import UsageError
from storekit.model.table.table import Column, Table

_SHOWN = 40
"""Maximum number of characters of a name in a message."""


def reference_names(table: Table) -> list[str]:
    """List the short names of a table's references."""
    columns = [column.name for column in table.columns.values() if column.reference is not None]
    return [name.removesuffix("_id") for name in columns if name.endswith("_id")]


def find_reference(table: Table, name: str) -> Column | None:
    """Return the column of a reference, or None if the table has no reference of this short name."""
    column = table.columns.get(f"{name}_id")
    return None if column is None or column.reference is None else column


def require_reference(table: Table, name: str) -> tuple[Column, Table]:
    """Return the column of a reference and the table that it points to.

    Raises:
        UsageError: the table has no such reference, or `references()` was given a table name, not a class.
    """
    column = find_reference(table, name)
    if column is None or column.reference is None:
        known = ", ".join(reference_names(table)) or "none"
        raise UsageError(
            f"{table.name} has no reference {name[:_SHOWN]!r}: that is a column {name[:_SHOWN]}_id "
            f"with references(); it has {known}"
        )
    target = table.target_of(column.reference)
    if target is None:
        raise UsageError(
            f"{table.name}.{column.name} refers to {column.reference.name!r} by table name only; "
            "pass the class to references()"
        )
    return column, target
