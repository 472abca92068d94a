"""The SQL of find and count.

The text depends on the shape of a query only and is cached by it; all values are parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

from storekit.drivers.postgres.queries.reads import array, encode, fields, named, setting
from storekit.ports.statements import Condition, Count, Parent, Search, Sort

FRESH = f", {setting('plan_cache_mode', 'force_custom_plan')}"
"""Appended to `SET_TENANT`: plan each time (0.2 to 0.4 ms), since the best plan depends on the values.

Two indexes may have the same order, for example one of all records and one of the records of a parent. On a
small table their costs are equal, so a plan that was cached then could use the wrong index for ever.
"""
KEPT = f", {setting('plan_cache_mode', 'force_generic_plan')}"
"""Appended to `SET_TENANT` if one plan suits all values. Postgres would plan some of these statements each
time."""
EXACT = f", {setting('gin_fuzzy_search_limit', '0')}"
"""Appended to `SET_TENANT` for searches: a database may limit how many rows a GIN index returns."""
TIES = f", {setting('enable_sort', 'off')}"
"""As `ORDERED`, if the order of an index must be completed among rows with NULL."""
ORDERED = f"{TIES}, {setting('enable_incremental_sort', 'off')}"
"""Appended to `SET_TENANT` when an index gives the order.

A planner without statistics of the tenant would otherwise read all of its rows and sort them for one page.
"""

_NIL = UUID(int=0)
Shape: TypeAlias = tuple[str, str, int, Parent | None]
"""The column, operator, number of parameters and parent of a condition."""
Order: TypeAlias = tuple[Sort, ...]


def search(statement: Search, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a SELECT of one page, which starts after the last row of the previous page."""
    parameters = [encode(tenant), *encoded(statement.conditions)]
    after = statement.after
    if after is not None:
        parameters += [encode(value) for value in after if value is not None]
    text = _search_text(
        statement.table,
        tuple(column for column, _ in statement.columns),
        statement.parts,
        tuple(map(shape, statement.conditions)),
        statement.order,
        None if after is None else tuple(value is None for value in after),
    )
    return text, [*parameters, encode(statement.limit)]


def count(statement: Count, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a SELECT count(*)."""
    text = _count_text(statement.table, tuple(map(shape, statement.conditions)))
    return text, [encode(tenant), *encoded(statement.conditions)]


def shape(condition: Condition) -> Shape:
    """Return what the text of a condition depends on."""
    return condition.column, condition.operator, len(condition.values), condition.parent


def encoded(conditions: Sequence[Condition]) -> Iterator[bytes | None]:
    """Encode the values of conditions."""
    for each in conditions:
        match each.operator:
            case "in":
                yield array(each.values[0])
            case "path":
                *keys, value = each.values
                yield from map(encode, keys)
                yield json.dumps(value).encode()
            case "prefix" | "key" | "ref_id":
                yield encode(each.values[0])
            case _:
                yield from (_literal(each.kind, value) for value in each.values)


def _literal(kind: str, value: Any) -> bytes | None:
    if kind == "jsonb":
        return json.dumps(value).encode()
    return array(value) if kind.endswith("[]") else encode(value)


@lru_cache(maxsize=1024)
def _count_text(table: str, conditions: tuple[Shape, ...]) -> str:
    return f"SELECT count(*) FROM {named(table)} WHERE {where(conditions)}"


@lru_cache(maxsize=1024)
def _search_text(
    table: str,
    columns: tuple[str, ...],
    parts: tuple[str, ...],
    conditions: tuple[Shape, ...],
    order: Order,
    after: tuple[bool, ...] | None,
) -> str:
    first = 2 + sum(count for _, _, count, _ in conditions)
    last = first + (0 if after is None else after.count(False))
    rows = f"SELECT * FROM {named(table)} WHERE {where(conditions)}"
    end = f"{order_by(order)} LIMIT ${last}::bigint"
    later = [] if after is None else [*_after(order, after, first)]
    if len(later) < 2:
        found = " AND ".join([rows, *later]) + end
    else:
        # Each condition reads one range of the index; a chain of ORs would scan.
        found = f"SELECT * FROM ({' UNION ALL '.join(f'({rows} AND {each}{end})' for each in later)}) u{end}"
    # Parts are read for the rows of the page only, after LIMIT.
    return f"SELECT {fields(columns, parts)} FROM ({found}) e{order_by(order)}"


def where(conditions: Sequence[Shape], number: int = 2) -> str:
    """Write the conditions; `$1` is the tenant, and their parameters begin with `number`."""
    tests = ["tenant_id = $1::uuid"]
    for column, operator, count, parent in conditions:
        tests.append(_test(f'"{column}"', operator, number, count, parent))
        number += count
    return " AND ".join(tests)


def _test(column: str, operator: str, number: int, count: int, parent: Parent | None) -> str:
    """Write one condition. Parameters are not cast: PostgreSQL infers the column's type, also for an enum."""
    match operator:
        case "null":
            return f"{column} IS NULL"
        case "not null":
            return f"{column} IS NOT NULL"
        case "in":
            return f"{column} = ANY (${number})"
        case "past":
            return f"{column} <= storekit.now()"
        case "prefix":
            return f"starts_with({column}, ${number})"
        case "contains":
            return f"{column} @> ${number}"
        case "key":
            return f"{column} ? ${number}"
        case "path":
            keys = "".join(f" -> ${i}::text" for i in range(number, number + count - 1))
            return f"({column}{keys}) = ${number + count - 1}::jsonb"
        case "ref_id":
            assert parent is not None  # noqa: S101 for the type checker
            return f"{column} = ({_parent(parent, number)})"
    return f"{column} {operator} ${number}"


def _parent(parent: Parent, number: int) -> str:
    tenant = f"'{_NIL}'::uuid" if parent.shared else "$1::uuid"
    alive = " AND p.deleted_on IS NULL" if parent.soft_delete else ""
    return (
        f"SELECT p.id FROM {named(parent.table)} p "
        f"WHERE p.tenant_id = {tenant} AND p.ref_id = ${number}{alive}"
    )


def order_by(order: Order) -> str:
    """Write an ORDER BY; empty if there is at most one row."""
    columns = ", ".join(f'"{each.column}"{" DESC" if each.descending else ""}' for each in order)
    return f" ORDER BY {columns}" if columns else ""


def _after(order: Order, after: tuple[bool, ...], first: int) -> Iterator[str]:
    """Yield conditions that select the rows after one row; `after` tells which of its values are NULL."""
    if any(after) or len({each.descending for each in order}) > 1:
        yield from _branches(order, after, first)
        return
    # A row comparison selects no row that has NULL in the column that decides. In descending order such rows
    # come before; in ascending order they come after.
    yield _row_after(order, first)
    for i, sort in enumerate(order):
        if sort.column in {"id", "ref_id"}:
            break  # no two rows have the same value, so the columns after it decide nothing
        if sort.nullable and not sort.descending:
            equal = [f'"{each.column}" = ${first + n}' for n, each in enumerate(order[:i])]
            yield " AND ".join([*equal, f'"{sort.column}" IS NULL'])


def _row_after(order: Order, first: int) -> str:
    columns = ", ".join(f'"{each.column}"' for each in order)
    values = ", ".join(f"${first + i}" for i in range(len(order)))
    return f"({columns}) {'<' if order[0].descending else '>'} ({values})"


def _branches(order: Order, after: tuple[bool, ...], first: int) -> Iterator[str]:
    """Yield a condition for each prefix of the order: equal in the prefix, and later in the column after it.

    For `a, b` after (1, 2): `a > 1`, then `a = 1 AND b > 2`.
    """
    equal: list[str] = []
    number = first
    for sort, null in zip(order, after, strict=True):
        column = f'"{sort.column}"'
        for later in _later(sort, column, number, null=null):
            yield " AND ".join([*equal, later])
        equal.append(f"{column} IS NULL" if null else f"{column} = ${number}")
        number += not null


def _later(sort: Sort, column: str, number: int, *, null: bool) -> Iterator[str]:
    # PostgreSQL sorts NULL last in ascending order and first in descending order.
    if sort.descending:
        yield f"{column} IS NOT NULL" if null else f"{column} < ${number}"
    elif not null:
        yield f"{column} > ${number}"
        if sort.nullable:
            yield f"{column} IS NULL"
