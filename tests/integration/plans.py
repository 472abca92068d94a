"""Plans of Postgres, as EXPLAIN (ANALYZE, FORMAT JSON) returns them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Node = dict[str, Any]


def nodes(plan: Node) -> Iterator[Node]:
    """Yield a node of a plan and all nodes below it."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def rows_read(plan: Iterable[Node], table: str) -> int:
    """Count the rows that a plan reads from a table, including rows that it filters out."""
    found: float = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in plan
        if node.get("Relation Name") == table
    )
    return round(found)
