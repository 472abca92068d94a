"""A class as migration text: what `storekit schema diff` writes of a new one and a reviewer reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic.fields import FieldInfo

from storekit.model.entity import Entity
from storekit.model.keys import constraint, foreign_keys, keys
from storekit.model.names import literal, qualified, quoted
from storekit.model.table import Column, Machine, Part, Table

_BASE = {
    "tenant_id": "uuid NOT NULL DEFAULT storekit.current_tenant()",
    "id": "uuid NOT NULL DEFAULT storekit.new_id()",
    "ref_id": 'text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()\n'
    "        CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$')",
    "version": "bigint NOT NULL DEFAULT 1",
    "created_on": "timestamptz NOT NULL DEFAULT storekit.now()",
    "created_by": "text NOT NULL DEFAULT storekit.current_actor()",
}
_MUTABLE = {"updated_on": "timestamptz", "updated_by": "text"}
_SOFT_DELETE = {"deleted_on": "timestamptz", "deleted_by": "text"}


def render(entity: type[Entity]) -> str:
    """Render a class as the text of its first migration.

    >>> class Note(Entity, table="notes"):
    ...     title: str
    >>> "title text NOT NULL" in render(Note)
    True
    """
    table, schema = entity.storekit_table, entity.storekit_table.name.rpartition(".")[0]
    blocks = [f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)};"] if schema else []
    blocks += [create_enum(column) for column in table.columns.values() if column.enum]
    blocks.append(
        create_table(table, entity.model_fields, (constraint(table, key) for key in foreign_keys(table)))
    )
    blocks += [key.create(qualified(table.name)) for key in keys(table) if not key.inline]
    blocks += [*part_facts(table), *lookup_fact(table), *moves(table), manage(table)]
    return "\n\n".join(blocks) + "\n"


def create_enum(column: Column) -> str:
    """Make the type of a StrEnum column."""
    labels = ", ".join(literal(member.value) for member in column.enum or ())
    return f"CREATE TYPE {qualified(column.sql)} AS ENUM ({labels});"


def create_table(table: Table, fields: Mapping[str, FieldInfo], more: Iterable[str]) -> str:
    """Make the table itself, with its keys and `more` lines."""
    lines = [f"{quoted(name)} {text}" for name, text in columns(table, fields).items()]
    lines += [key.line for key in keys(table) if key.inline]
    if table.scope == "self":
        lines.append("CONSTRAINT storekit_scope CHECK (tenant_id = id)")
    body = ",\n".join(f"    {line}" for line in (*lines, *more))
    return f"CREATE TABLE {qualified(table.name)} (\n{body}\n);"


def columns(table: Table, fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """Define every column of a table, by its name."""
    defined = {**_BASE, **(_MUTABLE if table.mutable else {}), **(_SOFT_DELETE if table.soft_delete else {})}
    for column in table.columns.values():
        sql = qualified(column.sql) if column.enum else column.sql
        defined[column.name] = (
            f"{sql}{'' if column.nullable else ' NOT NULL'}{_default(column, fields[column.name])}"
        )
    for part in table.parts.values():
        defined[f"{part.name}_ref"] = "uuid"
        if part.ttl:
            defined[f"{part.name}_expired_on"] = "timestamptz"
    return {**defined, "parts_live": "boolean NOT NULL GENERATED ALWAYS AS (true) STORED"}


def _default(column: Column, info: FieldInfo) -> str:
    """Give hand-written INSERTs the class's constant defaults; a computed one has no SQL."""
    text = None if info.is_required() else constant(column, info.default)
    return "" if text is None else f" DEFAULT {text}"


def constant(column: Column, value: Any) -> str | None:
    """Write a field's default as SQL, if it has one."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float() | Decimal():
            return str(value)
        case StrEnum():
            return literal(value.value)
        case str():
            return literal(value)
        case []:
            return "'{}'"
        case dict() if not value and column.sql == "jsonb":
            return "'{}'"
    return None


def part_facts(table: Table, names: Iterable[str] | None = None) -> Iterator[str]:
    """Tell the database of a table's parts, or of those that are named."""
    wanted = [table.parts[name] for name in (table.parts if names is None else names)]
    if wanted:
        rows = ",\n".join(f"    ({_fact(table, part)})" for part in wanted)
        yield (
            "INSERT INTO storekit.field (table_name, field, kind, ttl, links, collection) VALUES\n"
            f"{rows}\nON CONFLICT (table_name, field) DO UPDATE SET\n    kind = excluded.kind, "
            "ttl = excluded.ttl, links = excluded.links, collection = excluded.collection;"
        )


def _fact(table: Table, part: Part) -> str:
    ttl = f"interval {literal(_interval(part.ttl))}" if part.ttl else "NULL"
    links = literal("{" + ",".join(part.links) + "}")
    collection = literal(part.collection) if part.collection else "NULL"
    return ", ".join([literal(table.name), literal(part.name), literal(part.kind), ttl, links, collection])


def _interval(ttl: timedelta) -> str:
    seconds = f"{ttl.seconds}.{ttl.microseconds:06}".rstrip("0").rstrip(".")
    return f"{ttl.days} days" + (f" {seconds} seconds" if seconds != "0" else "")


def lookup_fact(table: Table) -> Iterator[str]:
    """Tell the database by which column a row is found before its tenant is known."""
    if table.lookup is not None:
        yield (
            "INSERT INTO storekit.field (table_name, field, kind) VALUES "
            f"({literal(table.name)}, {literal(table.lookup)}, 'column')\n"
            "ON CONFLICT (table_name, field) DO UPDATE SET kind = excluded.kind;"
        )


def moves(table: Table) -> Iterator[str]:
    """Tell the database which moves of a state it may let through."""
    if table.machine is not None:
        told = [literal(table.name), literal(table.machine.field)]
        rows = [", ".join([*told, *map(literal, pair)]) for pair in pairs(table.machine)]
        body = ",\n".join(f"    ({row})" for row in rows)
        yield (
            f"{forget_moves(table)}\n"
            f"INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES\n{body};"
        )


def forget_moves(table: Table) -> str:
    """Let the state of a table change in any way."""
    return f"DELETE FROM storekit.move WHERE entity = {literal(table.name)};"


def forget_field(table: Table, name: str) -> str:
    """Take back what was told of a part or a look-up."""
    return f"DELETE FROM storekit.field WHERE table_name = {literal(table.name)} AND field = {literal(name)};"


def pairs(machine: Machine) -> Iterator[tuple[str, str]]:
    """List the moves; from '' means that a record may begin there."""
    yield from (("", state) for state in machine.initial)
    for state, others in machine.allowed.items():
        yield from ((state, other) for other in others)


def manage(table: Table) -> str:
    """Put the table under the rules."""
    scope = "" if table.scope == "tenant" else f", {literal(table.scope)}"
    return f"SELECT storekit.manage({literal(qualified(table.name))}{scope});"
