"""The SQL that creates the table of a class, as `storekit schema diff` writes it into a migration."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic.fields import FieldInfo

from storekit.model.declare.entity import Entity
from storekit.model.declare.entity_class import EntityClass
from storekit.model.declare.entity_classes import entity_classes
from storekit.model.table.keys import ForeignKey, constraint, foreign_keys, key_definitions
from storekit.model.table.names import literal, qualified, quoted
from storekit.model.table.table import Column, Machine, Part, Table
from storekit.schema.order import in_order, late_keys
from storekit.schema.taken_names import check_names

# ref_id is compared byte by byte (COLLATE "C"): ULIDs are then ordered by time in every locale, and an
# upgrade of the system's collations cannot corrupt the index.
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


def render(*entities: EntityClass) -> str:
    """Return the text of the first migration of one or several classes: types, tables, indexes and rules.

    Classes that refer to each other must be rendered together. Their tables are created first, and the
    foreign keys that close the circle are added at the end.

    >>> class Note(Entity, table="notes"):
    ...     title: str
    >>> "title text NOT NULL" in render(Note)
    True

    Args:
        entities: classes with a table, in any order. Other tables that they refer to must exist before the
            migration runs.

    Raises:
        UsageError: two classes lead to the same name in the database, such as that of a table.
    """
    classes = entity_classes(entities)
    check_names(classes)
    later, blocks, late = [entity.storekit_table.name for entity in classes], [], []
    for entity in in_order(classes):
        table = entity.storekit_table
        later.remove(table.name)
        blocks.append(create(entity, later))
        late += [add_key(table, key) + "\n" for key in late_keys(entity, later)]
    return "\n".join([*blocks, *late])


def create(entity: type[Entity], later: Container[str] = ()) -> str:
    """Return the SQL that creates a table, without its foreign keys to tables that are created `later`."""
    table, schema = entity.storekit_table, entity.storekit_table.name.rpartition(".")[0]
    blocks = [f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)};"] if schema else []
    blocks += [create_enum(column) for column in table.columns.values() if column.enum]
    late = late_keys(entity, later)
    keys = [constraint(table, key) for key in foreign_keys(table) if key not in late]
    blocks.append(create_table(table, entity.model_fields, keys))
    blocks += [key.create(qualified(table.name)) for key in key_definitions(table) if not key.inline]
    # `manage` comes last: it reads the rows that the statements before it have inserted
    blocks += [*insert_parts(table), *insert_lookup(table), *insert_moves(table), call_manage(table)]
    return "\n\n".join(blocks) + "\n"


def add_key(table: Table, key: ForeignKey) -> str:
    """Return the SQL that adds a foreign key to a table.

    Postgres validates the key as the owner of the table. With FORCE ROW LEVEL SECURITY the owner sees no
    rows, so rows that violate the key would not be found. storekit.add_key lifts FORCE for the validation.
    """
    return f"SELECT storekit.add_key({literal(qualified(table.name))}, {literal(constraint(table, key))});"


def create_enum(column: Column) -> str:
    """Return CREATE TYPE for a StrEnum column."""
    labels = ", ".join(literal(member.value) for member in column.enum or ())
    return f"CREATE TYPE {qualified(column.sql)} AS ENUM ({labels});"


def create_table(table: Table, fields: Mapping[str, FieldInfo], more: Iterable[str]) -> str:
    """Return CREATE TABLE with columns, keys and `more` lines, such as foreign keys."""
    lines = [f"{quoted(name)} {text}" for name, text in column_definitions(table, fields).items()]
    lines += [key.clause for key in key_definitions(table) if key.inline]
    if table.scope == "self":
        lines.append("CONSTRAINT storekit_scope CHECK (tenant_id = id)")
    body = ",\n".join(f"    {line}" for line in (*lines, *more))
    return f"CREATE TABLE {qualified(table.name)} (\n{body}\n);"


def column_definitions(table: Table, fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """Return the definition of every column of a table, by name."""
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
    # A constant column, so that a foreign key can require a live part: (tenant_id, x_ref, parts_live) refers
    # to storekit.part (tenant_id, part_id, live). So no row can point to a part that was only staged or was
    # removed.
    return {**defined, "parts_live": "boolean NOT NULL GENERATED ALWAYS AS (true) STORED"}


def _default(column: Column, info: FieldInfo) -> str:
    """Return the DEFAULT for hand-written INSERTs; empty if the class has none, or has a default factory."""
    text = None if info.is_required() else constant(column, info.default)
    return "" if text is None else f" DEFAULT {text}"


def constant(column: Column, value: Any) -> str | None:
    """Return a field's default as SQL; None if it has no constant default or SQL cannot express it."""
    match value:
        case bool():  # before int, of which bool is a subclass
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


def insert_parts(table: Table, names: Iterable[str] | None = None) -> Iterator[str]:
    """Yield the INSERT that registers a table's parts, all or only those named, in `storekit.field`."""
    wanted = [table.parts[name] for name in (table.parts if names is None else names)]
    if wanted:
        # with ON CONFLICT the same statement inserts a new part and updates a registered one
        rows = ",\n".join(f"    ({_part_row(table, part)})" for part in wanted)
        yield (
            "INSERT INTO storekit.field (table_name, field, kind, ttl, links, collection) VALUES\n"
            f"{rows}\nON CONFLICT (table_name, field) DO UPDATE SET\n    kind = excluded.kind, "
            "ttl = excluded.ttl, links = excluded.links, collection = excluded.collection;"
        )


def _part_row(table: Table, part: Part) -> str:
    ttl = f"interval {literal(_interval(part.ttl))}" if part.ttl else "NULL"
    links = literal("{" + ",".join(part.links) + "}")
    collection = literal(part.collection) if part.collection else "NULL"
    return ", ".join([literal(table.name), literal(part.name), literal(part.kind), ttl, links, collection])


def _interval(ttl: timedelta) -> str:
    seconds = f"{ttl.seconds}.{ttl.microseconds:06}".rstrip("0").rstrip(".")
    return f"{ttl.days} days" + (f" {seconds} seconds" if seconds != "0" else "")


def insert_lookup(table: Table) -> Iterator[str]:
    """Yield the INSERT that registers the `lookup()` column of a table, if it has one."""
    if table.lookup is not None:
        yield (
            "INSERT INTO storekit.field (table_name, field, kind) VALUES "
            f"({literal(table.name)}, {literal(table.lookup)}, 'column')\n"
            "ON CONFLICT (table_name, field) DO UPDATE SET kind = excluded.kind;"
        )


def insert_moves(table: Table) -> Iterator[str]:
    """Yield the statements that replace the allowed moves of a table, if it has a state machine."""
    if table.machine is not None:
        field = [literal(table.name), literal(table.machine.field)]
        rows = [", ".join([*field, *map(literal, pair)]) for pair in move_pairs(table.machine)]
        body = ",\n".join(f"    ({row})" for row in rows)
        yield (
            f"{delete_moves(table)}\n"
            f"INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES\n{body};"
        )


def delete_moves(table: Table) -> str:
    """Return the DELETE that removes the allowed moves, so that a state can change in any way."""
    return f"DELETE FROM storekit.move WHERE entity = {literal(table.name)};"


def delete_field(table: Table, name: str) -> str:
    """Return the DELETE that removes the registration of a part or a look-up."""
    return f"DELETE FROM storekit.field WHERE table_name = {literal(table.name)} AND field = {literal(name)};"


def move_pairs(machine: Machine) -> Iterator[tuple[str, str]]:
    """Yield each allowed change as (from, to); from '' means that a new record may have the state."""
    yield from (("", state) for state in machine.initial)
    for state, others in machine.allowed.items():
        yield from ((state, other) for other in others)


def call_manage(table: Table) -> str:
    """Return the call that adds row-level security, triggers and write functions to a table."""
    if table.reason_required:
        return manage(table, reason_required=True)
    scope = "" if table.scope == "tenant" else f", {literal(table.scope)}"
    return f"SELECT storekit.manage({literal(qualified(table.name))}{scope});"


def manage(table: Table, *, reason_required: bool) -> str:
    """Return the call of `manage` that also says whether each change needs a reason."""
    required = str(reason_required).lower()
    return f"SELECT storekit.manage({literal(qualified(table.name))}, {literal(table.scope)}, {required});"
