"""The order in which tables are created: each after those it refers to, except in a circle."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from storekit.model.declare.entity import Entity
from storekit.model.table.keys import ForeignKey, foreign_keys


def in_order(entities: Iterable[type[Entity]]) -> Iterator[type[Entity]]:
    """Yield the classes so that each follows those it refers to; otherwise the order is kept.

    Of classes that refer to each other, the first one is created before those that it refers to.
    """
    left = {entity.storekit_table.name: entity for entity in entities}
    while left:
        free = [name for name, entity in left.items() if not referenced(entity) & left.keys() - {name}]
        for name in free or [*left][:1]:
            yield left.pop(name)


def referenced(entity: type[Entity]) -> set[str]:
    """Return the names of the tables that a class refers to."""
    return {key.target for key in foreign_keys(entity.storekit_table)}


def late_keys(entity: type[Entity], later: Container[str]) -> list[ForeignKey]:
    """List the foreign keys of a class to tables that are created after its own."""
    table = entity.storekit_table
    return [key for key in foreign_keys(table) if key.target in later and key.target != table.name]
