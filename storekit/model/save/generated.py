"""Leave out of a fingerprint what default factories generated inside a document or a jsonb column.

A process that repeats a request builds its objects anew, and a factory such as `uuid4` then returns another
value. The request is the same: its caller passed neither value.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, RootModel

from storekit.model.declare.entity import Entity
from storekit.model.save.documents import adapter
from storekit.model.values.walk import Walk

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Paths = dict[Any, Any]
"""Fields to leave out of an encoded value: True, or further paths, by key or position."""

_CONTAINERS = (BaseModel, Mapping, list, tuple, set, frozenset, deque)
_KEYS = Walk("a key", exact=False)
"""Converts keys as the encoders do."""


@lru_cache(maxsize=1024)
def fields_with_factories(entity: type[Entity]) -> tuple[str, ...]:
    """List the jsonb columns and documents whose types have a field with a default factory, at any depth."""
    table = entity.storekit_table
    columns = [(column.name, column.adapter) for column in table.columns.values() if column.adapter]
    documents = [(part.name, adapter(entity, part.name)) for part in table.parts.values() if part.collection]
    return tuple(name for name, kind in (*columns, *documents) if _mentions_factory(kind.core_schema))


def generated(value: Any) -> Paths:
    """Return the fields of a value that the caller did not set and whose values their factories generated.

    A list or dict counts as set: a caller may have added to it in place.
    """
    found: Paths
    match value:
        case RootModel():
            return generated(value.root)
        case BaseModel():
            fields = type(value).model_fields
            found = {
                _key(name, fields[name]): is_generated(value, name, each) or generated(each)
                for name, each in value.__dict__.items()
                if name in fields
            }
            found |= {name: generated(each) for name, each in (value.__pydantic_extra__ or {}).items()}
        case Mapping():
            # most dicts contain no models: convert a key only if there is something to leave out
            inner = [(key, generated(each)) for key, each in value.items()]
            found = {_KEYS.key(key): paths for key, paths in inner if paths}
        case list() | tuple() | deque():
            found = {i: generated(each) for i, each in enumerate(value)}
        case _ if is_dataclass(value) and not isinstance(value, type):
            # a dataclass does not know which of its fields were passed, so its own values count as passed
            aliases = getattr(value, "__pydantic_fields__", {})
            found = {
                _key(each.name, aliases.get(each.name)): generated(getattr(value, each.name, None))
                for each in dataclass_fields(value)
            }
        case _:
            return {}
    return {key: paths for key, paths in found.items() if paths}


def without(encoded: Any, paths: Paths) -> Any:
    """Return an encoded value without some fields."""
    match encoded:
        case dict():
            kept = {key: each for key, each in encoded.items() if paths.get(key) is not True}
            return {key: without(each, paths[key]) if key in paths else each for key, each in kept.items()}
        case list():
            return [without(each, paths[i]) if i in paths else each for i, each in enumerate(encoded)]
    return encoded  # a serializer of the user gave it another form


def _key(name: str, info: FieldInfo | None) -> str:
    """Return the key of a field in an encoded model."""
    return (info and (info.serialization_alias or info.alias)) or name


def is_generated(model: BaseModel, name: str, value: Any) -> bool:
    """Return whether a factory made the value of a field, and the caller cannot have edited it in place."""
    if name in model.model_fields_set or type(model).model_fields[name].default_factory is None:
        return False
    return is_scalar(value)


def is_scalar(value: Any) -> bool:
    """Return whether a value cannot be edited in place and contains no value that can."""
    return not isinstance(value, _CONTAINERS) and not is_dataclass(value)


def _mentions_factory(schema: Any) -> bool:
    """Return whether a schema of pydantic contains a default factory."""
    if isinstance(schema, list | tuple):
        return any(map(_mentions_factory, schema))
    if not isinstance(schema, dict):
        return False
    skipped = {"metadata", "serialization"}
    return "default_factory" in schema or any(
        _mentions_factory(each) for key, each in schema.items() if key not in skipped
    )
