"""Choose the index that gives a page of `find` its order.

A page must not cost more in a larger table. So an order is accepted only if some index already contains the
matching records in that order; a page is then a range of that index. This module decides from the declaration
alone: without a trip or statistics, so with the same result in every database.

Four rules decide whether an index can serve a query.

1. Every index begins with the tenant, which is always known; this module looks at the columns after it.
2. Columns that a filter binds to one value (`=`) are skipped at the front of the index: within one value of
   `team`, an index over (team, due, ref_id) is ordered by (due, ref_id). What is left is the remaining order.
3. The wanted order must be a prefix of the remaining order, in the same direction or entirely reversed, as
   Postgres reads an index from either end. Bound columns are ignored on both sides: they do not vary.
4. A partial index serves only if the filters imply its condition, or it would miss matching records.

The rest of the remaining order is then appended to the wanted order. The result ends with `ref_id` or is
unique, so no two records are equal in it. A page cursor requires this: "after this record" must be a single
position.

Example: `index("team", "-due")` and `index("-due", where={"done": False})`. Both end with -ref_id; there are
always indexes over (ref_id) and (id) as well.

    filter                   order_by  index                    order of the page
    -----------------------  --------  -----------------------  ---------------------------------------------
    {}                       None      (ref_id)                 -ref_id: the default is newest first
    {}                       "due"     refused                  team comes before -due in the first index;
                                                                the second has only records that are not done
    {"team": "a"}            "due"     (team, -due, -ref_id)    due, ref_id: team is bound, read backward
    {"team": in_("a", "b")}  "due"     refused                  two ranges, each with its own order
    {"done": False}          None      (-due, -ref_id) partial  -due, -ref_id: the filter matches this index
    {"done": False}          "due"     (-due, -ref_id) partial  due, ref_id: read backward

If several indexes can serve, the one with the highest count is chosen: bound columns at its front, plus
conditions of a partial index that an equality implies. Without `order_by` the same count chooses the order;
newest first is preferred if its count is as high.

Row-level security restricts the types of the remaining order: see LEAKPROOF_TYPES.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from storekit.errors import UsageError, ValidationError
from storekit.model.declare.entity import Entity
from storekit.model.find.bindings import LEAKPROOF_TYPES, Bindings, Candidate, bare, column_of
from storekit.model.find.query import find_column
from storekit.model.table.table import Table
from storekit.ports.statements import Condition, Sort

_SQL_ORDER = re.compile(r"(?=\+|.*\s)\+?(?P<name>\w+)(\s+(?P<way>desc|asc))?", re.IGNORECASE).fullmatch
"""A column with a direction as in SQL."""
NEWEST = "-ref_id"
"""A ref_id begins with the time of creation, so descending means newest first."""


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a page. It is total: no two matching records are equal in it."""

    columns: tuple[Sort, ...]
    """Empty if at most one record matches."""
    indexed: bool
    """Whether an index has this order; if not, the database reads all matches and sorts them."""
    pinned: bool = False
    """Whether only one index has this order and no filter narrows it. The best plan is then the same for all
    values, so the driver can keep it prepared."""
    narrowed: bool = False
    """Whether the filters narrow the index, so that it is not read from one end of the table."""
    ties: bool = False
    """Whether the index lacks the last column of the order, which matters only among records with NULL."""


def order_of(
    entity: type[Entity],
    order_by: str | Sequence[str] | None,
    conditions: Sequence[Condition],
    *,
    unindexed: bool = False,
) -> Order:
    """Return the order of a query's pages, completed to a total order.

    Args:
        order_by: column names, "-" in front for descending; None for the default order.
        conditions: the filters of the query.
        unindexed: accept an order that no index has.

    Raises:
        ValidationError: a name is not a column, or the column has no order.
        UsageError: no index has the order, and `unindexed` is False.
    """
    wanted = None if order_by is None else _wanted(entity, order_by)
    # The result is cached by the shape of the conditions. Values are part of the shape only where a partial
    # index may depend on them: with every value in it, each request would miss the cache.
    partial = {name for each in entity.storekit_table.indexes for name in each.where}
    shape = tuple(
        each if each.column in partial and each.comparable else replace(each, values=())
        for each in conditions
    )
    return _choose(entity, wanted, shape, unindexed)


@lru_cache(maxsize=1024)
def _choose(
    entity: type[Entity], asked: tuple[str, ...] | None, conditions: tuple[Condition, ...], unindexed: bool
) -> Order:
    table, bindings = entity.storekit_table, Bindings(conditions)
    wanted = _default(table, bindings) if asked is None else asked
    serving = [
        (bindings.matched_columns(candidate, remaining), candidate, remaining)
        for candidate in _candidates(table, bindings)
        if (remaining := bindings.remaining_order(table, candidate, wanted)) is not None
    ]
    if serving:
        # if the counts are equal, prefer a partial index, which is smaller
        matched, best, remaining = max(serving, key=lambda each: (each[0], bool(each[1].where)))
        pinned = len(serving) == 1 and not matched and not best.where
        narrowed = bool(matched or best.where or not remaining)
        # a unique index may contain many NULLs, even if this class declares none: they need an order too
        ties = not _ends_records(remaining) and any(bindings.may_hold_null(table, each) for each in remaining)
        columns = _sorts(table, _completed(remaining) if ties else remaining, bindings)
        return Order(columns, indexed=True, pinned=pinned, narrowed=narrowed, ties=ties)
    if not unindexed:
        raise UsageError(_remedy(entity, wanted, bindings))
    return Order(_sorts(table, _completed(wanted), bindings), indexed=False)


def _ends_records(names: Sequence[str]) -> bool:
    return not {"ref_id", "-ref_id", "id", "-id"}.isdisjoint(names)


def _completed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return a total order that begins with these columns."""
    if not {"ref_id", "-ref_id"}.isdisjoint(names):
        return names
    return (*names, "-ref_id" if names[-1].startswith("-") else "ref_id")


def _default(table: Table, bindings: Bindings) -> tuple[str, ...]:
    """Return the order of the index that the filters narrow most; newest first if that serves as well."""
    serving = [
        (
            bindings.matched_columns(candidate, remaining),
            bindings.remaining_order(table, candidate, (NEWEST,)) is not None,
            remaining,
        )
        for candidate in _candidates(table, bindings)
        if (remaining := bindings.remaining_order(table, candidate, ())) is not None
    ]
    matched, newest, remaining = max(serving, key=lambda each: each[:2])
    return remaining if matched and remaining and not newest else (NEWEST,)


def _wanted(entity: type[Entity], order_by: Any) -> tuple[str, ...]:
    """Check the names of an order."""
    names = (order_by,) if isinstance(order_by, str) else order_by
    if not isinstance(names, list | tuple) or not names:
        raise ValidationError('pass a column or a list of columns, as in "-created_on"', field="order_by")
    for name in names:
        plain = bare(name) if isinstance(name, str) else name
        _refuse_sql(entity.storekit_table, name)
        column = find_column(entity, plain, "order_by", shown=f"{plain!r:.60}")
        if not column.ordered:
            raise ValidationError(f"{column.name} is {column.sql}, which has no order", field="order_by")
    twice = next((name for name, many in Counter(map(bare, names)).items() if many > 1), None)
    if twice is not None:
        raise ValidationError(f"{twice} is named more than once", field="order_by")
    return tuple(map(str, names))


def _refuse_sql(table: Table, name: Any) -> None:
    """Raise ValidationError for an order in another notation, with the right one."""
    written = " ".join(map(str, name)) if isinstance(name, tuple) else name
    parts = _SQL_ORDER(written) if isinstance(written, str) else None
    if parts is not None and table.column(parts["name"]) is not None:
        right = f"-{parts['name']}" if (parts["way"] or "").lower() == "desc" else parts["name"]
        raise ValidationError(f"{written!r} is not a column; write {right!r}", field="order_by")
    if isinstance(name, str) and "," in name:
        names = [each.strip() for each in name.split(",")]
        raise ValidationError(f"pass several columns as a list: {names!r:.100}", field="order_by")


def _candidates(table: Table, bindings: Bindings) -> Iterator[Candidate]:
    """Yield the keys and indexes of a table that have a total order, given these filters."""
    yield Candidate(("ref_id",), {})
    yield Candidate(("id",), {})
    if table.natural_key:
        yield Candidate(table.natural_key, {})
    for name, column in table.columns.items():
        # the index of a reference begins with its column, before the tenant, so it serves only if that is
        # bound
        if column.reference is not None and name in bindings.bound:
            yield Candidate((name, "ref_id"), {})
    for each in table.indexes:
        # a unique index may contain many NULLs, so with a nullable column its order is not total
        names = {bare(column) for column in each.columns}
        if not each.unique or not any(bindings.may_be_null(table, name) for name in names):
            yield Candidate(each.order, each.where)


def _sorts(table: Table, names: Sequence[str], bindings: Bindings) -> tuple[Sort, ...]:
    return tuple(
        Sort(bare(name), name.startswith("-"), bindings.may_hold_null(table, name)) for name in names
    )


def _remedy(entity: type[Entity], wanted: Sequence[str], bindings: Bindings) -> str:
    """Return the message for an order that no index has, with the index to declare."""
    table = entity.storekit_table
    order = ", ".join(repr(name) for name in wanted)
    slow = [name for name in wanted if column_of(table, bare(name)).sql not in LEAKPROOF_TYPES]
    if slow:
        return (
            f"{entity.__name__}: no index can serve the order {order}: behind row-level security Postgres "
            f"does not compare {column_of(table, bare(slow[0])).sql} ({bare(slow[0])}) in an index; pass "
            "unindexed=True to read and sort all matching records"
        )
    states = sorted(name for name in bindings.equal if column_of(table, name).enum)
    columns = ", ".join(repr(name) for name in (*states, *sorted(bindings.bound), *wanted) if name != NEWEST)
    return (
        f"{entity.__name__}: no index has the order {order} with these filters; declare "
        f"indexes=[index({columns or repr(NEWEST)})], or pass unindexed=True to read and sort all matching "
        "records"
    )
