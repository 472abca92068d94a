"""The text of `Entity.plan()`."""

from __future__ import annotations

from collections.abc import Iterable

from storekit.model.table.table import Part, Table


def describe(owner: str, table: Table) -> str:
    """Describe where each field is stored, the rules of the class and the round trips of a save."""
    rows = [("field", "store", "stored as"), *_columns(table), *map(_part, table.parts.values())]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows]
    trips = "two Postgres trips around one parallel wave" if table.parts else "one Postgres trip"
    scope = "" if table.scope == "tenant" else f" ({table.scope})"
    title = f"{owner} -> {table.name}{scope}"
    return "\n".join([title, *lines, *_rules(table), f"a save with all fields: {trips}"])


def _columns(table: Table) -> Iterable[tuple[str, str, str]]:
    yield from ((name, "Postgres", sql) for name, sql in table.base.items())
    for column in table.columns.values():
        arrow = f" -> {column.reference.name}" if column.reference else ""
        yield column.name, "Postgres", column.sql + arrow


def _part(part: Part) -> tuple[str, str, str]:
    if part.kind == "blob":
        return part.name, "S3", part.media_type or ""
    life = f", {part.ttl.days} days" if part.ttl and part.ttl.days else f", {part.ttl}" if part.ttl else ""
    links = f", links {', '.join(part.links)}" if part.links else ""
    return part.name, "MongoDB", f"collection {part.collection}{life}{links}"


def _rules(table: Table) -> Iterable[str]:
    if table.machine is not None:
        begin = [f"(new) -> {', '.join(table.machine.initial)}"] if table.machine.initial else []
        steps = [f"{state} -> {', '.join(others)}" for state, others in table.machine.allowed.items()]
        yield f"{table.machine.field}: {'; '.join([*begin, *steps])}"
    if table.lookup is not None:
        yield f"lookup(): found by {table.lookup} before the tenant is known"
