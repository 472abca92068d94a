"""Read how PostgreSQL describes a class's table, by creating it in a scratch schema and rolling back.

PostgreSQL normalises defaults, checks and index definitions, so text rendered from a class cannot be compared
with the catalog. A table created from the class can.
"""

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
"""Short, because `manage` limits the length of the schema and table name together."""


def declared(connection: psycopg.Connection, entity: type[Entity]) -> Declared:
    """Create the table of a class, read its facts, and roll back.

    References and parts are left out: their foreign keys would lock the tables that they point at.
    """
    table = entity.storekit_table
    wanted = list(key_definitions(table))
    scratch = _in_scratch_schema(table)
    with connection.transaction(force_rollback=True):
        connection.execute("\n".join(_statements(scratch, entity)).encode())
        found = facts(connection, scratch.name)
    assert found is not None  # noqa: S101 it was just made
    return Declared(
        declared_facts(table, found), {key: found.indexes[f"key_{n}"] for n, key in enumerate(wanted)}
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


def _in_scratch_schema(table: Table) -> Table:
    """Return the table with its name and enum types in the scratch schema."""
    name = f"{_SCHEMA}.{table.name.rpartition('.')[2]}"
    columns = {
        each.name: replace(each, sql=f"{name}_{each.name}") if each.enum else each
        for each in table.columns.values()
    }
    return replace(table, name=name, columns=columns)
