"""Several entity classes, as an argument."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from storekit.model.declare.entity import Entity
from storekit.model.declare.entity_class import EntityClass


def entity_classes(given: Iterable[EntityClass]) -> list[type[Entity]]:
    """Return the same classes, as the type that the rest of storekit uses."""
    return cast("list[type[Entity]]", list(given))
