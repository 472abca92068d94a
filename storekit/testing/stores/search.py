"""Find and count in memory, with PostgreSQL's ordering and equality."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from storekit.errors import ConfigurationError
from storekit.model.table.table import Table
from storekit.model.values.codec import parse
from storekit.ports.statements import Condition, Parent, Search, Sort
from storekit.testing.stores.state import Row, Transaction

_NIL = UUID(int=0)
_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: bool(one == other),
    "<": lambda one, other: bool(one < other),
    "<=": lambda one, other: bool(one <= other),
    ">": lambda one, other: bool(one > other),
    ">=": lambda one, other: bool(one >= other),
    "prefix": lambda text, start: bool(text.startswith(start)),
}


def search(tx: Transaction, statement: Search) -> list[Row]:
    """Return the rows of a page."""
    table = tx.table(statement.table)
    found = matching(tx, statement.table, statement.conditions)
    # Sort by the last column first: sorting is stable.
    for sort in reversed(statement.order):
        found.sort(key=lambda row: _place(table, sort, row[sort.column]), reverse=sort.descending)
    after = statement.after
    if after is not None:
        _require_members(tx, table, statement.order, after)
        found = [row for row in found if _is_after(table, statement.order, row, after)]
    return found[: statement.limit]


def matching(tx: Transaction, name: str, conditions: Sequence[Condition]) -> list[Row]:
    """Return all rows that match the conditions."""
    table = tx.table(name)
    tests = [_test(tx, table, each) for each in conditions]  # once, not for each row
    rows = [row for (other, tenant, _), row in tx.state.rows.items() if (other, tenant) == (name, tx.tenant)]
    return [row for row in rows if all(test(row) for test in tests)]


def _place(table: Table, sort: Sort, value: Any) -> tuple[bool, Any]:
    """Return the sort key of a value. NULL sorts last, hence first in descending order, as in PostgreSQL."""
    return (True, 0) if value is None else (False, comparable(table, sort.column, value))


def _require_members(tx: Transaction, table: Table, order: Sequence[Sort], after: Sequence[Any]) -> None:
    """Raise ConfigurationError, as Postgres does, for a value that is no member of the enum of its column."""
    for sort, value in zip(order, after, strict=True):
        members = tx.state.members.get((table.name, sort.column))
        if members and value is not None and value not in members:
            raise ConfigurationError(f"invalid input value for enum {table.name}.{sort.column}: {value!r}")


def _is_after(table: Table, order: Sequence[Sort], row: Row, after: Sequence[Any]) -> bool:
    for sort, value in zip(order, after, strict=True):
        mine, last = _place(table, sort, row[sort.column]), _place(table, sort, value)
        if mine != last:
            return (mine > last) != sort.descending
    return False


def _test(tx: Transaction, table: Table, condition: Condition) -> Callable[[Row], bool]:
    name, operator, values = condition.column, condition.operator, condition.values
    if operator in {"null", "not null"}:
        return lambda row: (row[name] is None) == (operator == "null")
    if operator == "past":
        return lambda row: row[name] is not None and comparable(table, name, row[name]) <= tx.now
    if operator == "ref_id":
        assert condition.parent is not None  # noqa: S101 for the type checker
        parent = _parent_id(tx, condition.parent, values[0])
        return lambda row: parent is not None and row[name] == parent
    test = _value_test(table, condition)
    return lambda row: row[name] is not None and test(row[name])


def _value_test(table: Table, condition: Condition) -> Callable[[Any], bool]:
    name, values = condition.column, condition.values
    match condition.operator:
        case "in":
            wanted = {comparable(table, name, value) for value in values[0]}
            return lambda value: comparable(table, name, value) in wanted
        case "contains":
            items = comparable(table, name, values[0])
            return lambda value: set(items) <= set(comparable(table, name, value))
        case "path":
            *keys, last = values
            return lambda value: _at(value, keys) == _json(last)
        case "key":
            return lambda value: values[0] in value if isinstance(value, dict | list) else value == values[0]
    given, test = comparable(table, name, values[0]), _TESTS[condition.operator]
    return lambda value: test(comparable(table, name, value), given)


def _parent_id(tx: Transaction, parent: Parent, ref_id: str) -> str | None:
    tx.table(parent.table)
    found = tx.state.rows.get((parent.table, _NIL if parent.shared else tx.tenant, ref_id))
    return None if found is None or found.get("deleted_on") else str(found["id"])


def comparable(table: Table, name: str, value: Any) -> Any:
    """Convert an encoded value so that it compares as in PostgreSQL with collation C."""
    column = table.column(name)
    assert column is not None  # noqa: S101 it was checked
    if column.enum is not None:
        # as in Postgres, members that another version of the class has added come last
        members = [str(each.value) for each in column.enum]
        return (members.index(value), "") if value in members else (len(members), str(value))
    if column.adapter is not None:
        return _json(value)
    found = parse(column.sql, value)
    return tuple(found) if isinstance(found, list) else found


def _json(value: Any) -> Any:
    """Convert a JSON value so that it equals what jsonb considers equal: 1 and 1.0, but not 1 and true."""
    match value:
        case dict():
            return "object", frozenset((key, _json(each)) for key, each in value.items())
        case list():
            return "array", tuple(map(_json, value))
        case int() | float() if not isinstance(value, bool):
            return "number", Decimal(str(value))
    return type(value).__name__, value


def _at(value: Any, keys: Sequence[str]) -> Any:
    """Return the value at a path of keys; None, which equals no value, if there is none."""
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return _json(value)
