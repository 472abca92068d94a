"""Check a state against the state machine of a table."""

from __future__ import annotations

from storekit.errors import UsageError, ValidationError
from storekit.errors.shown import shown
from storekit.model.table.table import Table


def moved_to(table: Table, value: str) -> dict[str, str]:
    """Return the column that holds the state of a table, with its new value.

    Raises:
        UsageError, ValidationError: see `state_of`.
    """
    state = state_of(table, value)
    assert table.machine is not None  # noqa: S101 it has a state
    return {table.machine.field: state}


def state_of(table: Table, value: str) -> str:
    """Check a state, and return the value that is stored.

    Raises:
        UsageError: the class declares no state machine.
        ValidationError: the value is not one of its states.
    """
    if table.machine is None:
        raise UsageError(f"{table.name} has no state machine; declare it: Annotated[Status, moves({{...}})]")
    column = table.columns[table.machine.field]
    states = [member.value for member in column.enum or ()]
    if not isinstance(value, str) or str(value) not in states:
        raise ValidationError(f"{shown(value)} is not one of {', '.join(states)}", field=column.name)
    return str(value)
