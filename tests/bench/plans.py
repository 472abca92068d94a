"""The statements that `find` sends to Postgres, and their plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg import RawCursor, connect, sql

from storekit import Settings
from storekit.bridge import run
from storekit.drivers.postgres.wire import compose
from storekit.flows.context import Actor, Context
from storekit.flows.read.find import Query, find
from storekit.ports.statements import Search
from tests.bench.records import ACTOR, TENANT
from tests.bench.tickets import Ticket

_UNTIL_KEPT = 7
"""Executions after which Postgres may use a generic plan for a prepared statement."""


def statement_of(
    entity: type[Ticket], where: Mapping[str, Any], order_by: str | None, limit: int, after: str | None
) -> Search:
    """Return the statement of a call without sending it."""
    ear: Any = _CapturingPorts()
    try:
        context = Context(ear, Actor(TENANT, ACTOR))
        run(find(context, entity, Query(where, deleted=False, order_by=order_by, limit=limit, after=after)))
    except _CapturedError as heard:
        return heard.statement
    raise AssertionError("find asks for a page")


class _CapturedError(Exception):
    """Ends a flow when it sends its statement."""

    def __init__(self, statement: Search) -> None:
        self.statement = statement


class _CapturingPorts:
    """Ports that send nothing."""

    @property
    def ledger(self) -> _CapturingPorts:
        return self

    async def ready(self, **_: bool) -> None:
        """Need nothing."""

    async def pipeline(self, tenant: object, actor: object, statements: Sequence[Search]) -> list[Any]:
        raise _CapturedError(statements[0])


def plan(settings: Settings, statement: Search) -> str:
    """Return the names of the indexes, the rows that are read, and the server's time including planning."""
    assert settings.postgres_url is not None
    (setting, _), (text, values) = compose(TENANT, [statement])
    literals = sql.SQL(", ").join(sql.Literal(None if value is None else value.decode()) for value in values)
    explain = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page ({})").format(literals)
    with connect(settings.postgres_url.get_secret_value(), cursor_factory=RawCursor) as connection:
        connection.execute(setting.encode(), [str(TENANT)])
        connection.execute(f"PREPARE page AS {text}".encode())
        for _ in range(_UNTIL_KEPT):
            found = connection.execute(explain).fetchone()
    assert found is not None
    ((explained,),) = found
    nodes = [node for node in _nodes(explained["Plan"]) if node.get("Relation Name") == statement.table]
    read = sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes)
    took = explained["Planning Time"] + explained["Execution Time"]
    return f"{', '.join(sorted(set(map(_named, nodes))))} reads {read:,.0f} rows in {took:.1f} ms"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _named(node: dict[str, Any]) -> str:
    index = str(node.get("Index Name", "")).removeprefix(f"{node['Relation Name']}_")
    return f"{node['Node Type']} {index}".strip()
