"""What the filters of a query say about the order of the records in an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any

from storekit.model.table.indexes import not_null
from storekit.model.table.table import Column, Table
from storekit.ports.statements import Condition

LEAKPROOF_TYPES = {
    "text",
    "bigint",
    "double precision",
    "boolean",
    "uuid",
    "timestamptz",
    "date",
}
"""SQL types whose comparison operators Postgres declares LEAKPROOF.

Behind row-level security Postgres evaluates the policy before any operator that might reveal a value, in an
error message for example. Comparisons of numeric and of enums are not leakproof, so they cannot be conditions
of an index scan: it would read all rows of the tenant and filter, and each page would take longer than the
last.
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key or an index that may give the order: its columns after the tenant, which distinguish all
    records."""

    columns: tuple[str, ...]
    where: Mapping[str, Any]


class Bindings:
    """What the filters of a query say about the columns of the matching records."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.equal: dict[str, Any] = {}
        """Columns with an `=`, and the value; None if the value is not known here."""
        self.bound: set[str] = set()
        """Columns with an `=` that an index scan can use: it sees one value of them."""
        self.null = {each.column for each in conditions if each.operator == "null"}
        self.not_null = {each.column for each in conditions if each.operator != "null"}
        self.one_of: dict[str, Sequence[Any]] = {}
        """Columns with an `in_`, and its values."""
        for each in conditions:
            if each.operator == "in" and each.values:
                self.one_of[each.column] = each.values[0]
            if each.operator in {"=", "ref_id"}:
                self.equal[each.column] = each.values[0] if each.operator == "=" and each.values else None
                if each.kind in LEAKPROOF_TYPES:
                    self.bound.add(each.column)

    def may_be_null(self, table: Table, name: str) -> bool:
        """Return whether a matching record may have None in a column."""
        return name not in self.not_null and column_of(table, name).nullable

    def may_hold_null(self, table: Table, name: str) -> bool:
        """Return whether a matching row may have NULL, even if this class declares the column without
        None."""
        name = bare(name)
        declared = name in table.columns and name not in table.natural_key
        return name not in self.not_null and (declared or column_of(table, name).nullable)

    def matched_columns(self, candidate: Candidate, remaining: Sequence[str]) -> int:
        """Count the filters that narrow an index: bound columns at its front, and parts of its condition."""
        return len(candidate.columns) - len(remaining) + len(candidate.where.keys() & self.equal.keys())

    def remaining_order(
        self, table: Table, candidate: Candidate, wanted: Sequence[str]
    ) -> tuple[str, ...] | None:
        """Return an index's order behind its bound columns, or None if it does not begin with `wanted`."""
        if not all(self._implies(name, value) for name, value in candidate.where.items()):
            return None
        remaining = tuple(dropwhile(lambda name: bare(name) in self.bound, candidate.columns))
        if any(column_of(table, bare(name)).sql not in LEAKPROOF_TYPES for name in remaining):
            return None
        has = [name for name in remaining if bare(name) not in self.bound]
        needs = [name for name in wanted if bare(name) not in self.bound]
        # zip stops at the shorter one: columns after a total order have no effect
        pairs = list(zip(has, needs, strict=False))
        if all(one == other for one, other in pairs):
            return remaining
        if all(one == reversed_(other) for one, other in pairs):
            return tuple(map(reversed_, remaining))
        return None

    def _implies(self, name: str, value: Any) -> bool:
        """Return whether every matching record fulfils one condition of a partial index."""
        if value is None:
            return name in self.null
        if value is not_null:
            return name in self.not_null
        allowed = value if isinstance(value, tuple) else (value,)
        found = [self.equal[name]] if name in self.equal else self.one_of.get(name, ())
        return len(found) > 0 and all(each in allowed for each in found)


def column_of(table: Table, name: str) -> Column:
    column = table.column(name)
    assert column is not None  # noqa: S101 declared columns were checked
    return column


def bare(name: str) -> str:
    return name.removeprefix("-")


def reversed_(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"
