"""Plans of Postgres, as EXPLAIN (ANALYZE, FORMAT JSON) returns them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from storekit.drivers.postgres.exchange import Composed

Node = dict[str, Any]


class Planner:
    """Runs statements of storekit as prepared statements, with the settings that storekit sends first."""

    def __init__(self, app: psycopg.Connection[Any]) -> None:
        self.app = app
        self._names: dict[str, str] = {}
        # Postgres otherwise considers the generic plan from the sixth execution on
        app.execute("SET plan_cache_mode = force_generic_plan")

    def plan(self, composed: Sequence[Composed]) -> list[Node]:
        """Run a statement, prepared at its first run, and return the nodes of its plan."""
        (setting, (tenant,)), (text, parameters) = composed
        assert tenant is not None
        if text not in self._names:
            self._names[text] = f"planned_{len(self._names)}"
            self.app.execute(f"PREPARE {self._names[text]} AS {text}".encode())
        values = sql.SQL(", ").join(sql.Literal(None if p is None else p.decode()) for p in parameters)
        run = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {} ({})")
        with self.app.transaction():
            self.app.execute(setting.replace("$1", "%s").encode(), [tenant.decode()])
            found = self.app.execute(run.format(sql.Identifier(self._names[text]), values)).fetchone()
        assert found is not None
        return list(nodes(found[0][0]["Plan"]))


def nodes(plan: Node) -> Iterator[Node]:
    """Yield a node of a plan and all nodes below it."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def indexes(plan: Iterable[Node], table: str) -> set[str]:
    """Return the indexes that a plan uses to read a table, or the kind of scan."""
    return {
        str(node.get("Index Name", node["Node Type"])) for node in plan if node.get("Relation Name") == table
    }


def rows_read(plan: Iterable[Node], table: str) -> int:
    """Count the rows that a plan reads from a table, including rows that it filters out."""
    found: float = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in plan
        if node.get("Relation Name") == table
    )
    return round(found)
