"""A class as migration text: what `Store.embedded(entities=...)` writes and a reviewer reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic.fields import FieldInfo

from storekit.model.entity import Entity
from storekit.model.fields import ReferenceMark
from storekit.model.keywords import KEYWORDS
from storekit.model.table import Column, Part, Table

_BASE = """\
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()
        CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor()"""
_MUTABLE = ["updated_on timestamptz", "updated_by text"]
_SOFT_DELETE = ["deleted_on timestamptz", "deleted_by text"]


def render(entity: type[Entity]) -> str:
    """Render a class as the text of its first migration.

    >>> class Note(Entity, table="notes"):
    ...     title: str
    >>> "title text NOT NULL" in render(Note)
    True
    """
    table = entity.storekit_table
    schema = table.name.rpartition(".")[0]
    blocks = [f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)};"] if schema else []
    blocks += [*_enums(table), _create(table, entity.model_fields), *_facts(table)]
    blocks.append(f"SELECT storekit.manage({_literal(qualified(table.name))});")
    return "\n\n".join(blocks) + "\n"


def qualified(name: str) -> str:
    """Name a table or type with its schema."""
    schema, _, own = name.rpartition(".")
    return f"{quoted(schema or 'public')}.{quoted(own)}"


def quoted(name: str) -> str:
    """Quote a name only where SQL would read it as a keyword."""
    return f'"{name}"' if name in KEYWORDS else name


def _enums(table: Table) -> Iterator[str]:
    for column in table.columns.values():
        if column.enum is not None:
            labels = ", ".join(_literal(member.value) for member in column.enum)
            yield f"CREATE TYPE {qualified(column.sql)} AS ENUM ({labels});"


def _create(table: Table, fields: dict[str, FieldInfo]) -> str:
    lines = [_BASE]
    lines += [f"    {line}" for line in _MUTABLE if table.mutable]
    lines += [f"    {line}" for line in _SOFT_DELETE if table.soft_delete]
    lines += [f"    {_column(column, fields[column.name])}" for column in table.columns.values()]
    for part in table.parts.values():
        lines.append(f"    {part.name}_ref uuid")
        lines += [f"    {part.name}_expired_on timestamptz"] if part.ttl else []
    lines.append("    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED")
    lines.append("    PRIMARY KEY (tenant_id, id)")
    lines.append("    UNIQUE (tenant_id, ref_id)")
    lines += [f"    {key}" for key in _foreign_keys(table)]
    body = ",\n".join(lines)
    return "\n\n".join([f"CREATE TABLE {qualified(table.name)} (\n{body}\n);", *_indexes(table)])


def _column(column: Column, info: FieldInfo) -> str:
    sql = qualified(column.sql) if column.enum else column.sql
    default = "" if info.is_required() else _default(column, info.default)
    return f"{quoted(column.name)} {sql}{'' if column.nullable else ' NOT NULL'}{default}"


def _default(column: Column, value: Any) -> str:
    """Give hand-written INSERTs the class's constant defaults; a computed one has no SQL."""
    match value:
        case bool():
            return f" DEFAULT {str(value).lower()}"
        case int() | float() | Decimal():
            return f" DEFAULT {value}"
        case StrEnum():
            return f" DEFAULT {_literal(value.value)}"
        case str():
            return f" DEFAULT {_literal(value)}"
        case []:
            return " DEFAULT '{}'"
        case dict() if not value and column.sql == "jsonb":
            return " DEFAULT '{}'"
    return ""


def _foreign_keys(table: Table) -> Iterator[str]:
    for column in table.columns.values():
        if column.reference is not None:
            target = _target(column.reference, table)
            action = _action(column.name, column.reference)
            yield (
                f"FOREIGN KEY (tenant_id, {quoted(column.name)}) REFERENCES {target} (tenant_id, id) "
                f"ON DELETE {action}"
            )


def _target(reference: ReferenceMark, table: Table) -> str:
    if isinstance(reference.target, str):
        return qualified(table.name if reference.target == "self" else reference.target)
    return qualified(reference.target.storekit_table.name)


def _action(column: str, reference: ReferenceMark) -> str:
    # without the column list the tenant would be nulled too
    return (
        f"SET NULL ({quoted(column)})" if reference.on_delete == "set null" else reference.on_delete.upper()
    )


def _indexes(table: Table) -> Iterator[str]:
    # column first: on a small table all tenant-first indexes cost the same, and a prepared look-up by
    # ref_id that took this one instead would keep it for ever
    for column in table.columns.values():
        if column.reference is not None:
            yield f"CREATE INDEX ON {qualified(table.name)} ({quoted(column.name)}, tenant_id);"


def _facts(table: Table) -> Iterator[str]:
    if table.parts:
        rows = ",\n".join(f"    ({_fact(table, part)})" for part in table.parts.values())
        yield (
            "INSERT INTO storekit.field (table_name, field, kind, ttl, links, collection) VALUES\n"
            f"{rows}\nON CONFLICT (table_name, field) DO UPDATE SET\n    kind = excluded.kind, "
            "ttl = excluded.ttl, links = excluded.links, collection = excluded.collection;"
        )


def _fact(table: Table, part: Part) -> str:
    ttl = f"interval {_literal(_interval(part.ttl))}" if part.ttl else "NULL"
    links = _literal("{" + ",".join(part.links) + "}")
    collection = _literal(part.collection) if part.collection else "NULL"
    return ", ".join([_literal(table.name), _literal(part.name), _literal(part.kind), ttl, links, collection])


def _interval(ttl: timedelta) -> str:
    seconds = f"{ttl.seconds}.{ttl.microseconds:06}".rstrip("0").rstrip(".")
    return f"{ttl.days} days" + (f" {seconds} seconds" if seconds != "0" else "")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
