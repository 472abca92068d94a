"""The references of a class by their short names: `run` of a column `run_id`."""

from __future__ import annotations

from storekit.errors import UsageError
from storekit.model.table.fields import ReferenceMark
from storekit.model.table.table import Column, Scope, Table

_SHOWN = 40
"""Characters of what was given that a message repeats."""


def reference(table: Table, name: str) -> tuple[Column, Table]:
    """Find a reference of a class, and the table that it refers to.

    Raises:
        UsageError: there is none of this name, or its class is not known.
    """
    column = table.columns.get(f"{name}_id")
    if column is None or column.reference is None:
        names = [each.name for each in table.columns.values() if each.reference is not None]
        known = ", ".join(each.removesuffix("_id") for each in names if each.endswith("_id")) or "none"
        raise UsageError(
            f"{table.name} has no reference {name[:_SHOWN]!r}, a column of that name and _id; it has {known}"
        )
    target = column.reference.target
    if target == "self":
        return column, table
    if isinstance(target, str):
        raise UsageError(
            f"{table.name}.{column.name} knows {target!r} by its name alone; give references() the class"
        )
    return column, target.storekit_table


def scope_of(reference: ReferenceMark, table: Table) -> Scope:
    """Tell the scope of what a table refers to; one that is only named is taken for a tenant's."""
    if reference.target == "self":
        return table.scope
    return "tenant" if isinstance(reference.target, str) else reference.target.storekit_table.scope
