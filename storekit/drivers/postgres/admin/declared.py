"""What Postgres would make of a class: its table, made in a schema that never comes to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg

from storekit.drivers.postgres.admin.catalog import facts
from storekit.model.declare.entity import Entity
from storekit.model.table.keys import key_definitions
from storekit.model.table.names import qualified
from storekit.model.table.table import Table
from storekit.schema import ddl
from storekit.schema.diff.facts import Declared, declared_facts

_SCHEMA = "sk_new"
"""Short: with the longest name of a table it must not be longer than `manage` takes."""


def declared(connection: psycopg.Connection, entity: type[Entity]) -> Declared:
    """Make a class's table, read it back, and undo it.

    Neither references nor parts are made: their keys would lock the tables they point at.
    """
    table = entity.storekit_table
    wanted = list(key_definitions(table))
    alone = _elsewhere(table)
    with connection.transaction(force_rollback=True):
        connection.execute("\n".join(_statements(alone, entity)).encode())
        seen = facts(connection, alone.name)
    assert seen is not None  # noqa: S101 it was just made
    return Declared(
        declared_facts(table, seen), {key: seen.indexes[f"key_{n}"] for n, key in enumerate(wanted)}
    )


def _statements(table: Table, entity: type[Entity]) -> Iterator[str]:
    yield f"CREATE SCHEMA {_SCHEMA};"
    yield from (ddl.create_enum(column) for column in table.columns.values() if column.enum)
    yield ddl.create_table(table, entity.model_fields, ())
    on = qualified(table.name)
    yield from (key.build(on, f"key_{n}") for n, key in enumerate(key_definitions(table)))
    yield from ddl.insert_lookup(table)
    yield from ddl.insert_moves(table)
    yield ddl.call_manage(table)


def _elsewhere(table: Table) -> Table:
    """Move a table with its types to the scratch schema."""
    name = f"{_SCHEMA}.{table.name.rpartition('.')[2]}"
    columns = {
        each.name: replace(each, sql=f"{name}_{each.name}") if each.enum else each
        for each in table.columns.values()
    }
    return replace(table, name=name, columns=columns)
