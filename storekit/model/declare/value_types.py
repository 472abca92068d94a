"""Refuse types whose values no store would return, when the class is defined.

The list is the same for jsonb columns and for documents. It is applied to the schema that pydantic made of
the type, and so to nested models, generics and aliases of types. What depends on the value, such as a
subclass in the place of its base, is decided by the save.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from pydantic_core import CoreSchema

from storekit.errors import UsageError
from storekit.model.table.fields import Expired
from storekit.model.values.blob import Blob

_BY_KIND: Mapping[str, str] = {
    "callable": "a Callable, which cannot be stored",
    "generator": "an Iterable, which can be read only once; declare a list",
    "is-subclass": "a class, which cannot be stored; store its name",
    "ordered-dict": "an OrderedDict, whose order is not kept; declare a dict, or a list of pairs",
}
_NO_KEYS = {"tuple", "list", "set", "frozenset", "dict", "model", "dataclass", "typed-dict", "none"}
"""Kinds of keys whose text cannot be read back."""
_NO_ITEMS = {"model", "dataclass"}
"""Kinds of items for which a set has no order that is the same in all processes."""
_PLAIN = (str, int, float, complex, bytes, bytearray, Decimal, UUID, date, time, timedelta, PurePath)
_PLAIN_CONTAINERS = (list, tuple, dict, set, frozenset, deque)
_INNER = (
    "schema",
    "items_schema",
    "keys_schema",
    "values_schema",
    "extras_schema",
    "lax_schema",
    "python_schema",
)
_RESHAPING = {"function-before", "function-wrap", "function-plain"}


def check_value_type(where: str, kind: Any) -> None:
    """Check the type of a jsonb column or of a document.

    Raises:
        UsageError: a type within it can never be read back as it was saved.
    """
    schema = _schema_of(kind)
    if schema is not None:
        for place, why in _Scan(schema).refusals(schema, getattr(kind, "__name__", "")):
            raise UsageError(f"{where}: {place or 'its type'} is {why}")


def is_object(kind: Any) -> bool:
    """Return whether a model is stored as an object, which a document must be; a RootModel may be a list."""
    if not isinstance(kind, type) or not issubclass(kind, BaseModel) or not kind.__pydantic_root_model__:
        return True
    schema = _schema_of(kind)
    return schema is None or _Scan(schema).resolved(schema["schema"])["type"] not in {
        "list",
        "set",
        "tuple",
        "str",
        "int",
    }


def _schema_of(kind: Any) -> Any:
    """Return pydantic's schema of a type; None if a name in it is not defined yet."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        kind.model_rebuild(raise_errors=False)
        schema: Any = kind.__pydantic_core_schema__
    else:
        schema = TypeAdapter(kind).core_schema
    return schema if isinstance(schema, dict) else None


class _Scan:
    """Walks a schema, and finds what cannot be stored."""

    def __init__(self, schema: CoreSchema | Any) -> None:
        self._named = {each["ref"]: each for each in schema.get("definitions", ())}
        self._seen: set[str] = set()

    def resolved(self, node: Any) -> Any:
        """Follow references and defaults to the schema that they stand for."""
        while node["type"] in {"definition-ref", "definitions", "default", "nullable"}:
            node = self._named[node["schema_ref"]] if node["type"] == "definition-ref" else node["schema"]
        return node

    def refusals(self, node: Any, place: str, by_name: bool | None = False) -> Iterator[tuple[str, str]]:
        """Yield the places that cannot be stored, and why.

        Args:
            by_name: whether the model of the node also reads its fields by their names; None if a validator
                may change the keys before the fields are read.
        """
        if node["type"] == "definition-ref":
            if node["schema_ref"] in self._seen:
                return
            self._seen.add(node["schema_ref"])
            node = self._named[node["schema_ref"]]
        if (why := self._refusal(node)) is not None:
            yield place, why
        elif "serialization" not in node:  # what a serializer makes of a value is only known at the save
            yield from self._inner(node, place, None if node["type"] in _RESHAPING else by_name)

    def _refusal(self, node: Any) -> str | None:
        kind, cls = node["type"], node.get("cls")
        if kind in _BY_KIND:
            return _BY_KIND[kind]
        if cls in (Blob, Expired):
            return f"{cls.__name__}, which must be the type of a field of the entity itself"
        if kind == "model" and hasattr(cls, "storekit_server_names"):
            return f"the entity {cls.__name__}; declare a reference to it"
        if "_serialize_secret" in getattr(node.get("serialization", {}).get("function"), "__name__", ""):
            return "a secret, which its serializer masks; store it elsewhere, or give the field a serializer"
        if (
            kind == "dict"
            and "keys_schema" in node
            and self.resolved(node["keys_schema"])["type"] in _NO_KEYS
        ):
            return (
                f"a dict whose keys are {self.resolved(node['keys_schema'])['type']}; keys are stored as text"
            )
        if (
            kind in {"set", "frozenset"}
            and self.resolved(node.get("items_schema", {"type": "any"}))["type"] in _NO_ITEMS
        ):
            return f"a {kind} of objects, which have no order; declare a list"
        if kind == "is-instance" and "serialization" not in node and _is_foreign(cls):
            return f"{cls.__name__}, for which pydantic has no serializer"
        return None

    def _inner(self, node: Any, place: str, by_name: bool | None) -> Iterator[tuple[str, str]]:
        if node["type"] in {"model", "dataclass"}:
            place, config = node["cls"].__name__, node.get("config", {})
            by_name = bool(config.get("validate_by_name") or config.get("populate_by_name"))
        for name, field in _fields(node):
            if by_name is not None and (why := _lost(name, field, by_name)) is not None:
                yield f"{place}.{name}", why
            yield from self.refusals(field["schema"], f"{place}.{name}")
        for inner in _children(node):
            yield from self.refusals(inner, place, by_name)


def _children(node: Any) -> Iterator[Any]:
    for name in _INNER:
        each = node.get(name)
        yield from each if isinstance(each, list) else [each] if isinstance(each, dict) else ()
    choices = node.get("choices", ())
    for choice in choices.values() if isinstance(choices, dict) else choices:
        yield choice[0] if isinstance(choice, tuple) else choice


def _is_foreign(cls: Any) -> bool:
    known = (*_PLAIN, *_PLAIN_CONTAINERS)
    return type(cls) is type and not issubclass(cls, known) and not is_dataclass(cls) and cls is not object


def _fields(node: Any) -> Iterator[tuple[str, Any]]:
    if node["type"] in {"model-fields", "typed-dict"}:
        yield from node["fields"].items()
    elif node["type"] == "dataclass-args":
        yield from ((each["name"], each) for each in node["fields"])


def _lost(name: str, field: Any, by_name: bool) -> str | None:
    """Return why no value of a field could be read back."""
    if field.get("serialization_exclude"):
        # with a default, a record in which it has that default can be stored
        return None if field["schema"]["type"] == "default" else "required, but excluded from what is stored"
    stored, read = field.get("serialization_alias", name), field.get("validation_alias", name)
    names = {read} if isinstance(read, str) else {path[0] for path in _paths(read) if len(path) == 1}
    if stored in names or (by_name and stored == name):
        return None
    return f"stored as {stored!r}, but read by another alias; set alias, or both aliases to the same name"


def _paths(alias: Any) -> list[Any]:
    return alias if isinstance(alias[0], list) else [alias]
