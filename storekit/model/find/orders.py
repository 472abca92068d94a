"""Which index gives the order that was asked for, and what the order is then to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import dropwhile
from typing import Any

from storekit.errors import UsageError, ValidationError
from storekit.model.declare.entity import Entity
from storekit.model.find.query import find_column
from storekit.model.table.indexes import not_null
from storekit.model.table.table import Column, Table
from storekit.ports.statements import Condition, Sort

NEWEST = "-ref_id"
"""Of what is made one after the other, newest first."""
SEEN_THROUGH_A_POLICY = {
    "text",
    "bigint",
    "double precision",
    "boolean",
    "uuid",
    "timestamptz",
    "date",
}
"""Types whose comparisons an index scan may use behind row-level security: those that Postgres knows not to
leak. With numeric and enums it scans and filters, so that pages would take longer and longer."""


@dataclass(frozen=True, slots=True)
class Order:
    """A total order: no two records are equal in it."""

    columns: tuple[Sort, ...]
    """Empty where there is one record at most."""
    indexed: bool
    """Whether an index gives it."""
    pinned: bool = False
    """Whether no other index does."""


@dataclass(frozen=True, slots=True)
class _Key:
    """The columns of a key or an index after the tenant, which tell each record from all others."""

    columns: tuple[str, ...]
    where: Mapping[str, Any]


def order_of(
    entity: type[Entity],
    order_by: str | Sequence[str] | None,
    conditions: Sequence[Condition],
    *,
    unindexed: bool = False,
) -> Order:
    """Find the best index for an order, or take it as it is if `unindexed`.

    Raises:
        ValidationError: a name that is no column, or one that has no order.
        UsageError: no index gives the order.
    """
    wanted = None if order_by is None else _wanted(entity, order_by)
    # what a partial index may hold is of its values, all else of the columns alone
    held = {name for each in entity.storekit_table.indexes for name in each.where}
    shape = tuple(
        each if each.column in held and each.comparable else replace(each, values=()) for each in conditions
    )
    return _found(entity, wanted, shape, unindexed)


@lru_cache(maxsize=1024)
def _found(
    entity: type[Entity], asked: tuple[str, ...] | None, conditions: tuple[Condition, ...], unindexed: bool
) -> Order:
    table, given = entity.storekit_table, _Given(conditions)
    wanted = _default(table, given) if asked is None else asked
    served = [
        (given.fit(key, rest), key, rest)
        for key in _keys(table, given)
        if (rest := given.rest(table, key, wanted)) is not None
    ]
    if served:
        fit, key, rest = max(served, key=lambda each: (each[0], bool(each[1].where)))
        pinned = len(served) == 1 and not fit and not key.where
        return Order(_sorts(table, rest, given), indexed=True, pinned=pinned)
    if not unindexed:
        raise UsageError(_remedy(entity, wanted, given))
    if not {"ref_id", "-ref_id"}.isdisjoint(wanted):
        return Order(_sorts(table, wanted, given), indexed=False)
    return Order(_sorts(table, (*wanted, _like("ref_id", wanted[-1])), given), indexed=False)


def _default(table: Table, given: _Given) -> tuple[str, ...]:
    """Follow the index that fits the filters best; among equals one that gives the newest first."""
    fits = [
        (given.fit(key, rest), given.rest(table, key, (NEWEST,)) is not None, rest)
        for key in _keys(table, given)
        if (rest := given.rest(table, key, ())) is not None
    ]
    fit, newest, rest = max(fits, key=lambda each: each[:2])
    return rest if fit and rest and not newest else (NEWEST,)


def _wanted(entity: type[Entity], order_by: Any) -> tuple[str, ...]:
    names = (order_by,) if isinstance(order_by, str) else order_by
    if not isinstance(names, list | tuple) or not names:
        raise ValidationError('it takes a column, as "-created_on", or a list of them', field="order_by")
    for name in names:
        column = find_column(entity, _bare(name) if isinstance(name, str) else name, "order_by")
        if not column.ordered:
            raise ValidationError(f"{column.name} is {column.sql}, which has no order", field="order_by")
    if len({*map(_bare, names)}) < len(names):
        raise ValidationError("a column comes twice", field="order_by")
    return tuple(map(str, names))


def _keys(table: Table, given: _Given) -> Iterator[_Key]:
    """List what has an order, total in itself."""
    yield _Key(("ref_id",), {})
    yield _Key(("id",), {})
    if table.natural_key:
        yield _Key(table.natural_key, {})
    for name, column in table.columns.items():
        # its index begins with the column, before the tenant: of use where that is given
        if column.reference is not None and name in given.fixed:
            yield _Key((name, "ref_id"), {})
    for each in table.indexes:
        names = {_bare(column) for column in each.columns}
        if not each.unique or not any(given.may_be_null(table, name) for name in names):
            yield _Key(each.order, each.where)


class _Given:
    """What the conditions say beforehand."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.equal: dict[str, Any] = {}
        """Values by column."""
        self.fixed: set[str] = set()
        """Columns of which an index scan sees one value alone."""
        self.null = {each.column for each in conditions if each.operator == "null"}
        self.held = {each.column for each in conditions if each.operator != "null"}
        self.among: dict[str, Sequence[Any]] = {}
        for each in conditions:
            if each.operator == "in" and each.values:
                self.among[each.column] = each.values[0]
            if each.operator in {"=", "ref_id"}:
                self.equal[each.column] = each.values[0] if each.operator == "=" and each.values else None
                if each.kind in SEEN_THROUGH_A_POLICY:
                    self.fixed.add(each.column)

    def may_be_null(self, table: Table, name: str) -> bool:
        """Tell whether NULL may stand in a column of what is found."""
        return name not in self.held and _column(table, name).nullable

    def fit(self, key: _Key, rest: Sequence[str]) -> int:
        """Count the filters that make the range of an index smaller."""
        return len(key.columns) - len(rest) + len(key.where.keys() & self.equal.keys())

    def rest(self, table: Table, key: _Key, wanted: Sequence[str]) -> tuple[str, ...] | None:
        """Tell the order of an index behind the values that are given, if it begins with the one wanted."""
        if not all(self._implies(name, value) for name, value in key.where.items()):
            return None
        rest = tuple(dropwhile(lambda name: _bare(name) in self.fixed, key.columns))
        if any(_column(table, _bare(name)).sql not in SEEN_THROUGH_A_POLICY for name in rest):
            return None
        # what is equal in all records stands in no order's way; behind a total order nothing matters
        has = [name for name in rest if _bare(name) not in self.fixed]
        needs = [name for name in wanted if _bare(name) not in self.fixed]
        pairs = list(zip(has, needs, strict=False))
        if all(one == other for one, other in pairs):
            return rest
        if all(one == _reversed(other) for one, other in pairs):
            return tuple(map(_reversed, rest))
        return None

    def _implies(self, name: str, value: Any) -> bool:
        """Tell whether all that is found fulfils one condition of a partial index."""
        if value is None:
            return name in self.null
        if value is not_null:
            return name in self.held
        allowed = value if isinstance(value, tuple) else (value,)
        found = [self.equal[name]] if name in self.equal else self.among.get(name, ())
        return len(found) > 0 and all(each in allowed for each in found)


def _column(table: Table, name: str) -> Column:
    column = table.column(name)
    assert column is not None  # noqa: S101 declared columns were checked
    return column


def _sorts(table: Table, names: Sequence[str], given: _Given) -> tuple[Sort, ...]:
    return tuple(
        Sort(_bare(name), name.startswith("-"), given.may_be_null(table, _bare(name))) for name in names
    )


def _bare(name: str) -> str:
    return name.removeprefix("-")


def _reversed(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _like(name: str, other: str) -> str:
    return f"-{name}" if other.startswith("-") else name


def _remedy(entity: type[Entity], wanted: Sequence[str], given: _Given) -> str:
    """Say what to declare."""
    table = entity.storekit_table
    told = ", ".join(repr(name) for name in wanted)
    blind = [name for name in wanted if _column(table, _bare(name)).sql not in SEEN_THROUGH_A_POLICY]
    if blind:
        return (
            f"{entity.__name__}: an order by {told} has no fast pages: behind row-level security no index "
            f"finds a place among values of {_bare(blind[0])}; unindexed=True reads and sorts all that match"
        )
    states = sorted(name for name in given.equal if _column(table, name).enum)
    columns = ", ".join(repr(name) for name in (*states, *sorted(given.fixed), *wanted) if name != NEWEST)
    return (
        f"{entity.__name__}: no index gives the order {told} with these filters; declare "
        f"indexes=[index({columns or repr(NEWEST)})], or pass unindexed=True, which reads and sorts "
        "all that match"
    )
