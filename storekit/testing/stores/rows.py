"""Rows in memory: insert, update, delete and restore, with keys, references, versions and events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from storekit.errors import Conflict, ConstraintViolation, InvalidTransition, NotFound, UsageError
from storekit.model.table.keys import foreign_key_name, foreign_keys, unique_keys
from storekit.model.table.table import Column, Table
from storekit.model.values.equal import json_equal
from storekit.testing.stores.moves import made_moves
from storekit.testing.stores.search import comparable
from storekit.testing.stores.state import Event, Row, Transaction
from storekit.testing.stores.unique import check_unique

_NIL = UUID(int=0)
_SIGNED = {"double precision", "double precision[]"}
"""Types of columns that keep the sign of zero."""


def write_rows(tx: Transaction, operation: Mapping[str, Any]) -> list[list[Any]]:
    """Apply one operation and return [entity, ref_id, version] of each row, in the order of the request."""
    table, verb, rows = tx.table(operation["entity"]), operation["op"], operation["rows"]
    check_scope(tx, table)
    _check_shape(table, operation)
    made: Mapping[str, int] = {}
    if verb == "transition":
        made = made_moves(tx, table, operation["columns"][0], rows)
    asked, rows = rows, [row for row in rows if row["ref_id"] not in made]
    if verb != "insert":
        # In the order in which the SQL locks rows, so that the same one of several errors is raised.
        for row in sorted(rows, key=lambda row: str(row["ref_id"])):
            check_target(tx, table, verb, row)
    if verb == "check":
        return []
    names = [*operation["columns"], *(f"{field}_ref" for field in operation["refs"])]
    # Rows of one statement may refer to each other: Postgres checks references at its end.
    leaving = {row["ref_id"] for row in rows} if verb == "delete" else set[str]()
    # Postgres checks unique keys at each row, which matters if the rows exchange values.
    at_each_row = verb in {"update", "transition"} and any(
        {*names} & {*fields, *where} for _, fields, where in unique_keys(table)
    )
    done: dict[str, int] = {}
    for row in rows:
        done[row["ref_id"]] = _write_row(tx, table, verb, row, names, leaving)
        tx.freed -= {each for each in tx.freed if each[1] == row["ref_id"]}
        if at_each_row:
            check_unique(tx, table, [row])
    if verb in {"insert", "update", "transition"} and not operation.get("circle"):
        check_references(tx, table, rows)
    if verb != "delete" and not at_each_row:
        check_unique(tx, table, rows)
    versions = {**done, **made}
    return [[table.name, row["ref_id"], versions[row["ref_id"]]] for row in asked]


def check_scope(tx: Transaction, table: Table) -> None:
    """Raise UsageError for a global row in a tenant's scope, and for a tenant's row in the admin scope."""
    if (table.scope == "global") != (tx.tenant == _NIL):
        raise UsageError(f"table {table.name} has scope {table.scope}, the tenant is {tx.tenant}")


def check_target(tx: Transaction, table: Table, verb: str, row: Mapping[str, Any]) -> None:
    """Raise NotFound or Conflict if a row does not exist or has another version than expected."""
    found, expected = tx.row(table.name, row["ref_id"]), row["expected_version"]
    if found is None or (table.soft_delete and (found["deleted_on"] is None) == (verb == "restore")):
        raise NotFound(table.name, row["ref_id"])
    if expected is not None and found["version"] != expected:
        raise Conflict(table.name, row["ref_id"], expected, found["version"])


def _check_shape(table: Table, operation: Mapping[str, Any]) -> None:
    verb, fields = operation["op"], [*operation["columns"], *operation["refs"]]
    allowed = {
        "insert": True,
        "update": table.mutable,
        "transition": table.mutable,
        "delete": table.mutable or table.soft_delete,
        "restore": table.soft_delete,
        "check": True,
    }
    if not allowed[verb]:
        raise UsageError(f"table {table.name} does not support {verb}")
    if not set(fields) <= table.columns.keys() | table.parts.keys():
        raise UsageError(f"table {table.name} has no column or part {', '.join(fields)}")
    if len({row["ref_id"] for row in operation["rows"]}) < len(operation["rows"]):
        raise UsageError(f"the batch names a row of {table.name} more than once")


def _write_row(
    tx: Transaction, table: Table, verb: str, row: Row, names: list[str], leaving: Set[str]
) -> int:
    values = deepcopy({name: row[name] for name in names})
    if verb == "insert":
        return _insert(tx, table, row, values)
    found = tx.row(table.name, row["ref_id"])
    assert found is not None  # noqa: S101 it was checked
    match verb:
        case "update" | "transition":
            return change(tx, table, found, values, "updated", asked=verb == "transition")
        case "restore":
            return change(tx, table, found, {"deleted_on": None, "deleted_by": None}, "restored")
    if table.soft_delete:
        gone = {"deleted_on": tx.now.isoformat(), "deleted_by": tx.actor}
        return change(tx, table, found, gone, "deleted")
    return _remove(tx, table, found, leaving)


def _insert(tx: Transaction, table: Table, row: Row, values: Row) -> int:
    own, by_id = (table.name, tx.tenant, row["ref_id"]), (table.name, tx.tenant, row["id"])
    if by_id in tx.state.ids:
        raise _violation(table, "pkey")
    if own in tx.state.rows:
        raise _violation(table, "tenant_id_ref_id_key")
    if table.machine and table.machine.initial:
        _check_move(table, row["ref_id"], None, values.get(table.machine.field), table.machine.initial)
    if table.scope == "self" and row["id"] != str(tx.tenant):
        raise _violation(table, "storekit_scope")
    base: Row = dict.fromkeys([*table.base, *_expiries(table)])
    base |= {"id": row["id"], "ref_id": row["ref_id"], "tenant_id": str(tx.tenant), "version": 1}
    base |= {"created_on": tx.now.isoformat(), "created_by": tx.actor}
    tx.put(tx.state.rows, own, {**base, **values})
    tx.put(tx.state.ids, by_id, row["ref_id"])
    _record(tx, table, row["ref_id"], "created", 1, after=tx.state.rows[own])
    return 1


def change(tx: Transaction, table: Table, found: Row, values: Row, what: str, *, asked: bool = False) -> int:
    """Change a row as the row trigger does: increment the version, set updated_on and updated_by.

    A row that stays as it is keeps its version, unless a transition to its state was asked for.
    """
    if not asked and not any(_differs(table, name, value, found.get(name)) for name, value in values.items()):
        return int(found["version"])
    changed = {**found, **values, "version": found["version"] + 1}
    if table.machine and found[table.machine.field] != changed[table.machine.field]:
        was, what = found[table.machine.field], "transitioned"
        allowed = table.machine.allowed.get(was, ())
        _check_move(table, found["ref_id"], was, changed[table.machine.field], allowed)
    diff = [
        name
        for name in changed
        if name != "version" and _differs(table, name, changed[name], found.get(name))
    ]
    if table.mutable:
        changed |= {"updated_on": tx.now.isoformat(), "updated_by": tx.actor}
    tx.put(tx.state.rows, (table.name, tx.tenant, found["ref_id"]), changed)
    _supersede(tx, [found[name] for name in _refs(table) if name in values and found[name] != values[name]])
    before, after = ({name: row.get(name) for name in diff} for row in (found, changed))
    _record(tx, table, found["ref_id"], what, changed["version"], before, after)
    return int(changed["version"])


def _differs(table: Table, name: str, one: Any, other: Any) -> bool:
    """Compare as PostgreSQL compares the images of a row, as text: true, 1, 1.0 and 1.00 all differ."""
    column = table.column(name)
    if one is None or other is None or column is None:
        return bool(one != other)
    parsed = comparable(table, name, one), comparable(table, name, other)
    if column.adapter is not None:
        return not json_equal(one, other)
    if column.sql == "numeric":  # which has no negative zero and no exponents
        return len({f"{abs(each) if each == 0 else each:f}" for each in parsed}) > 1
    return bool(repr(parsed[0]) != repr(parsed[1])) if column.sql in _SIGNED else bool(parsed[0] != parsed[1])


def _check_move(table: Table, ref_id: str, from_: str | None, to: str | None, allowed: Sequence[str]) -> None:
    if to not in allowed:
        raise InvalidTransition(table.name, ref_id, from_, str(to), tuple(sorted(allowed)))


def _remove(tx: Transaction, table: Table, found: Row, leaving: Set[str] = frozenset()) -> int:
    """Delete a row, and apply `on_delete` to the rows that refer to it, except those that are leaving too."""
    tx.drop(tx.state.rows, (table.name, tx.tenant, found["ref_id"]))
    tx.drop(tx.state.ids, (table.name, tx.tenant, found["id"]))
    # Remove the row before following the references to it, so that a circle of cascades ends.
    for other, column in tx.referring(table):
        for row in _pointing(tx, other, column, found["id"], everywhere=table.scope == "global"):
            if other is not table or row["ref_id"] not in leaving:
                _let_go(tx, other, column, row)
    _supersede(tx, [found[name] for name in _refs(table)])
    _record(tx, table, found["ref_id"], "deleted", found["version"] + 1, before=found)
    return int(found["version"]) + 1


def _pointing(
    tx: Transaction, table: Table, column: Column, target_id: str, *, everywhere: bool
) -> list[Row]:
    return [
        row
        for (name, tenant, _), row in tx.state.rows.items()
        if name == table.name and (everywhere or tenant == tx.tenant) and row[column.name] == target_id
    ]


def _let_go(tx: Transaction, table: Table, column: Column, row: Row) -> None:
    assert column.reference is not None  # noqa: S101 for the type checker
    match column.reference.on_delete:
        case "cascade":
            if (current := tx.row(table.name, row["ref_id"])) is not None:
                _remove(tx, table, current)
        case "set null":
            change(tx, table, row, {column.name: None}, "updated")
        case _:
            raise ConstraintViolation.of_referred(_key_name(table, column))


def check_references(tx: Transaction, table: Table, rows: list[Row]) -> None:
    """Check references after the whole operation: rows of one batch may refer to each other."""
    for column in table.columns.values():
        if column.reference is None:
            continue
        target = column.reference.name
        known = tx.state.tables.get(target)
        tenant = _NIL if known is not None and known.scope == "global" else tx.tenant
        for row in rows:
            value = row.get(column.name)
            if value is not None and (target, tenant, value) not in tx.state.ids:
                name = _key_name(table, column)
                raise ConstraintViolation(f"a referenced record does not exist in this tenant ({name})", name)


def _refs(table: Table) -> list[str]:
    return [f"{field}_ref" for field in table.parts]


def _expiries(table: Table) -> list[str]:
    """List the columns that note the expiry of a document: events show them."""
    return [f"{part.name}_expired_on" for part in table.parts.values() if part.ttl]


def _supersede(tx: Transaction, part_ids: list[str | None]) -> None:
    """Mark parts to which no row points any more as superseded."""
    for part_id in part_ids:
        if part_id is not None:
            key = (tx.tenant, UUID(part_id))
            tx.put(tx.state.parts, key, replace(tx.state.parts[key], superseded_on=tx.now))


def _record(
    tx: Transaction,
    table: Table,
    ref_id: str,
    what: str,
    version: int,
    before: Row | None = None,
    after: Row | None = None,
) -> None:
    key = (table.name, tx.tenant, ref_id)
    images = _exact(table, before), _exact(table, after)
    context = None if tx.context is None else json.loads(tx.context)
    origin = tx.actor, tx.on_behalf_of, tx.reason, context
    event = Event(tx.now, f"{table.name}.{what}", version, *origin, *images)
    tx.put(tx.state.events, key, (*tx.state.events.get(key, ()), event))


def _exact(table: Table, image: Row | None) -> Row | None:
    """Return a row image as events hold it: fractional numbers as Decimal."""
    if image is None:
        return None
    return {name: _exact_value(table.columns.get(name), value) for name, value in image.items()}


def _exact_value(column: Column | None, value: Any) -> Any:
    if column is None or value is None:
        return value
    if column.sql in {"numeric", "double precision"}:
        return Decimal(str(value))
    if column.adapter is not None or column.sql in _SIGNED:
        return json.loads(json.dumps(value), parse_float=Decimal)
    return value


def _key_name(table: Table, column: Column) -> str:
    return foreign_key_name(table, next(key for key in foreign_keys(table) if key.columns[-1] == column.name))


def _violation(table: Table, rule: str) -> ConstraintViolation:
    name = f"{table.name.rpartition('.')[2]}_{rule}"
    return ConstraintViolation(f"a constraint rejected the rows ({name})", name)
