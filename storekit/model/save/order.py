"""The order of the rows of a write: what others refer to comes first, and so does what frees a unique key.

Inserts come before updates, which may refer to new rows, and updates before deletes, to which a row may no
longer refer. But Postgres checks a unique key at each row. So a row that frees a key, by a delete or a new
value, comes before the others of its table, if no reference forbids that. Rows that may exchange the values
of a key have no such order: the commit frees their keys first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from storekit.model.save.membership import leaves
from storekit.model.save.plan import Plan, RowPlan
from storekit.model.table.keys import foreign_keys, unique_keys
from storekit.model.table.table import Table

_PHASES = {"check": 0, "insert": 3, "update": 4, "transition": 4, "restore": 5, "delete": 6}
_EARLY_DELETE, _EARLY_UPDATE = 1, 2
_UPDATES = {"update", "transition"}


class Order:
    """The order of the rows of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._depth, self.circle = _depths(row.table for row in plan.rows)
        self.exchange = _may_exchange(plan)
        self._early = _tables_to_delete_early(plan, self._depth)
        self._new = {str(row.id) for row in plan.rows if row.operation == "insert"}
        self._inserted = {row.table.name for row in plan.rows if row.operation == "insert"}

    def place(self, row: RowPlan) -> tuple[int, int]:
        """Return the sort key of a row: its phase, and its place among the tables of the phase."""
        down = self._depth[row.table.name]
        if row.operation == "delete":
            return (_EARLY_DELETE if row.table.name in self._early else _PHASES["delete"]), -down
        return (_EARLY_UPDATE if self._frees_a_key(row) else _PHASES[row.operation]), down

    def _frees_a_key(self, row: RowPlan) -> bool:
        """Return whether an update may free a key for another row, and refers to no new row."""
        if row.operation not in _UPDATES or any(
            row.values.get(c.name) in self._new for c in row.table.columns.values() if c.reference
        ):
            return False
        kinds = dict(row.table.types)
        for _, fields, where in unique_keys(row.table):
            if row.table.name in self._inserted and row.values.keys() & {*fields, *where}:
                return True
            if leaves(where, row.values, kinds):
                return True
        return False


def _may_exchange(plan: Plan) -> bool:
    """Return whether an update may give up values of a unique key that another row of the write gets."""
    rows, updates = Counter[str](), set[str]()
    for row in plan.rows:
        for name, fields, where in unique_keys(row.table):
            touched = {"deleted_on"} if row.operation == "restore" else row.values.keys()
            if touched & {*fields, *where}:
                rows[name] += 1
                updates |= {name} if row.operation in _UPDATES else set()
    return any(rows[name] > 1 for name in updates)


def _tables_to_delete_early(plan: Plan, depth: Mapping[str, int]) -> set[str]:
    """Return the tables whose deletes may free a key, and those whose rows must be deleted before them.

    They are not deleted early if the write also updates a table that refers to them: the update may remove
    the last reference, or a cascade would delete the row to be updated.
    """
    tables = {row.table.name: row.table for row in plan.rows}
    written = {row.table.name for row in plan.rows if row.operation in {"insert", "restore", *_UPDATES}}
    updated = {row.table.name for row in plan.rows if row.operation in _UPDATES}
    deleted = {row.table.name for row in plan.rows if row.operation == "delete"}
    freeing = [depth[name] for name in deleted & written if any(unique_keys(tables[name]))]
    early = {name for name in deleted if freeing and depth[name] >= min(freeing)}
    if any(key.target in early for name in updated for key in foreign_keys(tables[name])):
        return set()
    return early


def _depths(tables: Iterable[Table]) -> tuple[dict[str, int], bool]:
    """Number tables so that each comes after those it refers to; return whether there is a circle.

    Tables in a circle keep their order.
    """
    named = {table.name: table for table in tables}
    if len(named) == 1:
        return dict.fromkeys(named, 0), False
    order = TopologicalSorter[str]()
    for name, table in named.items():
        order.add(name, *(key.target for key in foreign_keys(table) if key.target in named.keys() - {name}))
    try:
        return {name: n for n, name in enumerate(order.static_order())}, False
    except CycleError:
        return {name: n for n, name in enumerate(named)}, True
