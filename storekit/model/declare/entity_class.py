"""The type of entity classes, for type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, dataclass_transform

from pydantic import BaseModel, Field, PrivateAttr

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # pydantic does not export it


# mypy joins the classes of a list to the class of which they are instances. Without this metaclass, that
# class would be pydantic's metaclass, whose instances are not accepted where an entity class is required.
@dataclass_transform(kw_only_default=True, field_specifiers=(Field, PrivateAttr))
class EntityClass(ModelMetaclass):
    """The type of entity classes: every class that is derived from `Entity` is one.

    You need it only for annotations: mypy infers `list[EntityClass]` for a list such as `[Order, Customer]`.

    >>> class Note(Entity, table="notes"):
    ...     title: str
    >>> isinstance(Note, EntityClass)
    True
    """
