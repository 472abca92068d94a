"""Compare classes with the database. These functions do no I/O: they turn facts into differences and SQL."""

from __future__ import annotations

from collections.abc import Container, Iterator

from storekit.model.declare.entity import Entity
from storekit.model.table.names import qualified
from storekit.schema.ddl import add_key, create
from storekit.schema.diff.compare_columns import compare_columns
from storekit.schema.diff.compare_keys import compare_keys
from storekit.schema.diff.compare_managed import compare_managed
from storekit.schema.diff.difference import Difference, File, files
from storekit.schema.diff.facts import Declared, Facts
from storekit.schema.diff.pair import Pair
from storekit.schema.order import late_keys

__all__ = ["Difference", "File", "differences", "files", "missing", "missing_keys", "undeclared"]


def differences(entity: type[Entity], declared: Declared, actual: Facts) -> Iterator[Difference]:
    """Yield the differences between a class and its table."""
    pair = Pair(entity, declared, actual)
    yield from compare_columns(pair)
    yield from compare_keys(pair)
    yield from compare_managed(pair)


def missing(entity: type[Entity], later: Container[str] = ()) -> Difference:
    """Return the difference of a class that has no table yet; its SQL creates the table.

    Args:
        later: tables that are created after this one.
    """
    return Difference(qualified(entity.storekit_table.name), "the table is missing", create(entity, later))


def missing_keys(entity: type[Entity], later: Container[str]) -> Iterator[Difference]:
    """Yield the foreign keys of a new table to tables that are created after it."""
    table = entity.storekit_table
    for key in late_keys(entity, later):
        what = f"the reference of column {key.columns[-1]} is missing"
        yield Difference(qualified(table.name), what, add_key(table, key))


def undeclared(table: str) -> Difference:
    """Return the remark about a table that one of the line's migrations created and no class declares now."""
    name = qualified(table)
    what = "no class declares the table; delete its rows before you drop it, or their parts stay"
    return Difference(name, what, f"DROP TABLE {name};", "remark")
