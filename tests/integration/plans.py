"""Plans of Postgres, as EXPLAIN (ANALYZE, FORMAT JSON) returns them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from storekit.drivers.postgres import ledger
from storekit.drivers.postgres.exchange import Composed
from storekit.drivers.postgres.wire import compose
from storekit.ports.statements import Statement, Work

Node = dict[str, Any]


def recorded(patch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list that will hold the statements of each call, without those of relays of other stores."""
    sent: list[Any] = []

    def noted(tenant: UUID, statements: Sequence[Statement], role: str | None = None) -> list[Composed]:
        composed = compose(tenant, statements, role)
        if not isinstance(statements[0], Work):
            sent.append(composed)
        return composed

    patch.setattr(ledger, "compose", noted)
    return sent


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
