"""What the database itself says of entities: their tables, and the declared fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg

from storekit.drivers.postgres.admin.as_owner import as_owner
from storekit.drivers.postgres.admin.catalog_sql import COLLECTIONS, FACTS, MANAGED
from storekit.drivers.postgres.admin.migrate import connect
from storekit.model.table.keys import ForeignKey
from storekit.model.table.names import qualified
from storekit.schema.diff.facts import ColumnFact, Facts, PartFact

_ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def collections(admin_url: str) -> list[str]:
    """Name every collection that a declared document is kept in."""
    with connect(admin_url) as connection, as_owner(connection):
        return [name for (name,) in connection.execute(COLLECTIONS)]


def managed(connection: psycopg.Connection) -> list[str]:
    """Name the managed tables that are there."""
    return [name for (name,) in connection.execute(MANAGED)]


def exists(connection: psycopg.Connection, table: str) -> bool:
    """Tell whether there is such a table."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [qualified(table)]).fetchone()
    return row == (True,)


def facts(connection: psycopg.Connection, table: str) -> Facts | None:
    """Read what there is of a table, if it is there. What lies in its own schema is told without it."""
    schema, _, name = table.rpartition(".")
    connection.execute("SELECT set_config('search_path', quote_ident(%s), true)", [schema or "public"])
    row = connection.execute(FACTS, {"schema": schema or "public", "name": name, "entity": table}).fetchone()
    connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
    if row is None:
        return None
    told: dict[str, Any] = row[0]
    keys, fields = told["foreign_keys"] or {}, told["fields"] or ()
    refs = {f"key {key}": "foreign key" for key, each in keys.items() if each["to"] == "storekit.part"}
    return Facts(
        columns={column: _column(each) for column, each in (told["columns"] or {}).items()},
        indexes={index: _definition(text) for index, text in (told["indexes"] or {}).items()},
        checks=told["checks"] or {},
        foreign_keys={key: _foreign_key(each) for key, each in keys.items() if f"key {key}" not in refs},
        parts={each["field"]: _part(each) for each in fields if each["kind"] != "column"},
        lookups=frozenset(each["field"] for each in fields if each["kind"] == "column"),
        moves=frozenset((field, start, end) for field, start, end in told["moves"] or ()),
        scope=told["scope"],
        guards={**told["guards"], **refs},
        writable=frozenset(told["writable"] or ()),
        empty=told["empty"],
    )


def _column(told: Mapping[str, Any]) -> ColumnFact:
    default = told["default"]
    if told["labels"] and default is not None:  # of 'draft'::notes_status, whatever the type is called
        default = default.rpartition("::")[0] or default
    return ColumnFact(
        told["type"], told["nullable"], default, told["generated"], told["enum"], tuple(told["labels"] or ())
    )


def _definition(text: str) -> str:
    """Leave out what an index is called and what it is of."""
    head, _, definition = text.partition(" USING ")
    return f"{'UNIQUE ' if head.startswith('CREATE UNIQUE') else ''}{definition}"


def _foreign_key(told: Mapping[str, Any]) -> ForeignKey:
    # NO ACTION refuses what RESTRICT refuses
    action = _ACTIONS.get(told["action"], "RESTRICT")
    target = told["to"].removeprefix("public.")
    return ForeignKey(
        tuple(told["columns"]), target, tuple(told["target"]), action, tuple(told["nulled"] or ())
    )


def _part(told: Mapping[str, Any]) -> PartFact:
    ttl = None if told["ttl"] is None else timedelta(microseconds=told["ttl"])
    return PartFact(told["kind"], ttl, tuple(told["links"]), told["collection"])
