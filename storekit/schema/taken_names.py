"""Check that no two classes lead to the same name in the database.

Tables, indexes and types of one schema share their names: a table is a type too, and an index is a relation.
A name that joins a table and a field can be that of another table and field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from storekit.errors import UsageError
from storekit.model.declare.entity import Entity
from storekit.model.table.keys import key_definitions
from storekit.model.table.table import Table


def check_names(entities: Iterable[type[Entity]]) -> None:
    """Check that the tables, indexes and types of some classes have different names.

    Raises:
        UsageError: two of them have the same name.
    """
    owners: dict[str, tuple[Table, str, str]] = {}
    for entity in entities:
        table = entity.storekit_table
        for name, what in _names(table):
            other, owner, other_what = owners.setdefault(name, (table, entity.__name__, what))
            if other.name != table.name:
                raise UsageError(
                    f"{name} would be {other_what} of {owner} and {what} of {entity.__name__}; rename one of "
                    "the fields or tables, or put one of the tables into another schema"
                )
            if other != table:
                raise UsageError(
                    f"{owner} and {entity.__name__} declare different fields for the table {table.name}; "
                    "pass one of them, or choose another table"
                )


def _names(table: Table) -> Iterator[tuple[str, str]]:
    """Yield each name with its schema, and what it names; the table first."""
    schema = table.name.rpartition(".")[0]
    yield table.name, "the table"
    for column in table.columns.values():
        if column.enum is not None:
            yield column.sql, f"the type of the field {column.name}"
    for key in key_definitions(table):
        yield f"{schema}.{key.name}".removeprefix("."), "an index"
