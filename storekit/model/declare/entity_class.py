"""The type of entity classes, for type checkers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast, dataclass_transform

from pydantic import BaseModel, Field, PrivateAttr

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass

    from storekit.model.declare.entity import Entity
else:
    ModelMetaclass = type(BaseModel)  # pydantic does not export it


# mypy joins the classes of a list to the class of which they are instances. Without this one it would be
# pydantic's, whose instances are not accepted where an entity class is required.
@dataclass_transform(kw_only_default=True, field_specifiers=(Field, PrivateAttr))
class EntityClass(ModelMetaclass):
    """The type of entity classes: every class that is derived from `Entity` is one.

    You need it only for annotations: mypy infers `list[EntityClass]` for a list such as `[Order, Customer]`.

    >>> class Note(Entity, table="notes"):
    ...     title: str
    >>> isinstance(Note, EntityClass)
    True
    """


def entity_classes(given: Iterable[EntityClass]) -> list[type[Entity]]:
    """Return the same classes, as the type that the rest of storekit uses."""
    return cast("list[type[Entity]]", list(given))
