"""What differs between classes and the database. Pure: facts in, differences and their SQL out."""

from __future__ import annotations

from collections.abc import Iterator

from storekit.model.declare.entity import Entity
from storekit.model.table.names import qualified
from storekit.schema.ddl import render
from storekit.schema.diff.columns import columns
from storekit.schema.diff.difference import Difference, File, files
from storekit.schema.diff.facts import Declared, Facts
from storekit.schema.diff.keys import keys
from storekit.schema.diff.pair import Pair
from storekit.schema.diff.rules import rules

__all__ = ["Difference", "File", "differences", "files", "missing", "undeclared"]


def differences(entity: type[Entity], declared: Declared, actual: Facts) -> Iterator[Difference]:
    """Compare a class with its table."""
    pair = Pair(entity, declared, actual)
    yield from columns(pair)
    yield from keys(pair)
    yield from rules(pair)


def missing(entity: type[Entity]) -> Difference:
    """Word that a class has no table yet."""
    return Difference(qualified(entity.storekit_table.name), "the table is missing", render(entity))


def undeclared(table: str) -> Difference:
    """Word that a table which the line made has no class any more."""
    name = qualified(table)
    what = "no class declares the table, and the content of its parts stays until its rows are deleted"
    return Difference(name, what, f"DROP TABLE {name};", "remark")
