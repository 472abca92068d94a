"""Leave out of a fingerprint what default factories generated inside a document or a jsonb column.

A process that repeats a request builds its objects anew, and a factory such as `uuid4` then returns another
value. The request is the same: its caller passed neither value.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, RootModel, TypeAdapter

from storekit.model.values.bson import body_hash, encode_body
from storekit.model.values.codec import encode_json

Paths = dict[Any, Any]
"""Fields to leave out, as pydantic's `exclude` takes them."""


def declared_json(adapter: TypeAdapter[Any], value: Any, where: str) -> Any | None:
    """Return a jsonb value without its generated fields; None if it has none."""
    paths = _generated(value) if _has_factories(adapter) else None
    if not paths:
        return None
    options: dict[str, Any] = {"by_alias": True, "exclude": paths, "warnings": False}
    return encode_json(adapter.dump_python(value, mode="json", **options), where)


def declared_digest(adapter: TypeAdapter[Any], value: Any, where: str) -> bytes | None:
    """Return the hash of a document without its generated fields; None if it has none."""
    paths = _generated(value) if _has_factories(adapter) else None
    if not paths:
        return None
    plain = adapter.dump_python(value, by_alias=True, round_trip=True, exclude=paths, warnings=False)
    return body_hash(encode_body(plain, where)[0])


def _generated(value: Any) -> Paths:
    """Return the fields that the caller did not set and whose values their factories generated.

    A list or dict counts as set: a caller may have added to it in place.
    """
    found: Paths
    match value:
        case RootModel():
            return _generated(value.root)
        case BaseModel():
            fields = type(value).model_fields
            found = {
                name: True if _is_generated(value, name, each) else _generated(each)
                for name, each in value.__dict__.items()
                if name in fields
            }
        case Mapping():
            found = {key: _generated(each) for key, each in value.items()}
        case list() | tuple():
            found = {i: _generated(each) for i, each in enumerate(value)}
        case _:
            return {}
    return {key: paths for key, paths in found.items() if paths}


def _is_generated(model: BaseModel, name: str, value: Any) -> bool:
    if name in model.model_fields_set or type(model).model_fields[name].default_factory is None:
        return False
    return not isinstance(value, BaseModel | Mapping | list | tuple | set | frozenset)


@lru_cache(maxsize=1024)
def _has_factories(adapter: TypeAdapter[Any]) -> bool:
    """Return whether a type has a field with a default factory, at any depth."""
    return _mentions_factory(adapter.core_schema)


def _mentions_factory(schema: Any) -> bool:
    if isinstance(schema, list | tuple):
        return any(map(_mentions_factory, schema))
    if not isinstance(schema, dict):
        return False
    skipped = {"metadata", "serialization"}
    return "default_factory" in schema or any(
        _mentions_factory(each) for key, each in schema.items() if key not in skipped
    )
