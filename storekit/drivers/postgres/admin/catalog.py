"""Read what the database contains of entities: their tables and their declared fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg

from storekit.drivers.postgres.admin.as_owner import as_owner
from storekit.drivers.postgres.admin.catalog_sql import COLLECTIONS, FACTS, MANAGED
from storekit.drivers.postgres.admin.connect import PATH
from storekit.drivers.postgres.admin.runner import connect
from storekit.model.table.keys import ForeignKey
from storekit.model.table.names import qualified
from storekit.schema.diff.facts import ColumnFact, Facts, PartFact

_ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def collections(admin_url: str) -> list[str]:
    """Return the collections of all declared documents."""
    with connect(admin_url) as connection, as_owner(connection):
        return [name for (name,) in connection.execute(COLLECTIONS)]


def managed(connection: psycopg.Connection) -> list[str]:
    """Return the managed tables that exist."""
    return [name for (name,) in connection.execute(MANAGED)]


def exists(connection: psycopg.Connection, table: str) -> bool:
    """Return whether the table exists."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [qualified(table)]).fetchone()
    return row == (True,)


def facts(connection: psycopg.Connection, table: str) -> Facts | None:
    """Read the facts of a table; None if it does not exist.

    Names of objects in the table's own schema are printed without it. That lets a table be compared with its
    copy in the scratch schema.
    """
    schema, _, name = table.rpartition(".")
    row = connection.execute(FACTS, {"schema": schema or "public", "name": name, "entity": table}).fetchone()
    connection.execute(PATH)
    if row is None:
        return None
    found: dict[str, Any] = row[0]
    keys, fields = found["foreign_keys"] or {}, found["fields"] or ()
    refs = {f"key {key}": "foreign key" for key, each in keys.items() if each["to"] == "storekit.part"}
    return Facts(
        columns={column: _column(each) for column, each in (found["columns"] or {}).items()},
        indexes={index: _definition(text) for index, text in (found["indexes"] or {}).items()},
        checks=found["checks"] or {},
        foreign_keys={key: _foreign_key(each) for key, each in keys.items() if f"key {key}" not in refs},
        parts={each["field"]: _part(each) for each in fields if each["kind"] != "column"},
        lookups=frozenset(each["field"] for each in fields if each["kind"] == "column"),
        moves=frozenset((field, start, end) for field, start, end in found["moves"] or ()),
        scope=found["scope"],
        guards={**found["guards"], **refs},
        writable=frozenset(found["writable"] or ()),
        empty=found["empty"],
    )


def _column(column: Mapping[str, Any]) -> ColumnFact:
    default = column["default"]
    # 'draft'::notes_status counts as 'draft': the enum type may have another name.
    if column["labels"] and default is not None:
        default = default.rpartition("::")[0] or default
    return ColumnFact(
        column["type"],
        column["nullable"],
        default,
        column["generated"],
        column["enum"],
        tuple(column["labels"] or ()),
    )


def _definition(text: str) -> str:
    """Return the definition of an index without its name and table."""
    head, _, definition = text.partition(" USING ")
    return f"{'UNIQUE ' if head.startswith('CREATE UNIQUE') else ''}{definition}"


def _foreign_key(key: Mapping[str, Any]) -> ForeignKey:
    # NO ACTION counts as RESTRICT: both refuse to delete a referenced row.
    action = _ACTIONS.get(key["action"], "RESTRICT")
    target = key["to"].removeprefix("public.")
    return ForeignKey(tuple(key["columns"]), target, tuple(key["target"]), action, tuple(key["nulled"] or ()))


def _part(field: Mapping[str, Any]) -> PartFact:
    ttl = None if field["ttl"] is None else timedelta(microseconds=field["ttl"])
    return PartFact(field["kind"], ttl, tuple(field["links"]), field["collection"])
