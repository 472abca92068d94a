"""The states that a record goes through."""

from __future__ import annotations

from storekit.errors import UsageError, ValidationError
from storekit.model.table.table import Table


def state_of(table: Table, value: str) -> str:
    """Check that a state is one of the table's machine; answer it as it is stored.

    Raises:
        UsageError: the class declares no machine.
        ValidationError: the machine has no such state.
    """
    if table.machine is None:
        raise UsageError(f"{table.name} has no state machine; declare it: Annotated[Status, moves({{...}})]")
    column = table.columns[table.machine.field]
    states = [member.value for member in column.enum or ()]
    if not isinstance(value, str) or str(value) not in states:
        raise ValidationError(
            f"{value!r} is not one of {', '.join(states)}", field=f"{table.name}.{column.name}"
        )
    return str(value)
