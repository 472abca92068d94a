"""Which fields of a new object still have their default.

The fingerprint of a new record leaves defaults out, whether they were passed or not. So an object that is
built from complete JSON is the same request as one that is built from a few arguments, and a field that a new
version of the class adds does not change the requests of the old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_origin

from pydantic import BaseModel

from storekit.model.declare.entity import Entity
from storekit.model.save.documents import encode_document
from storekit.model.save.generated import generated, is_generated, is_scalar, without
from storekit.model.values.bson import body_hash
from storekit.model.values.codec import changed, encode_column
from storekit.model.values.equal import json_equal

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def left_out(entity: Entity, identities: Mapping[str, Any]) -> frozenset[str]:
    """Return the columns of a new object that its fingerprint leaves out: defaults and generated values.

    Args:
        identities: the encoded columns, without generated values inside them.
    """
    known, columns = _defaults(type(entity)), entity.storekit_table.columns
    return frozenset(
        name
        for name, value in identities.items()
        if (name in known and not changed(columns[name], value, known[name]))
        or is_generated(entity, name, entity.__dict__[name])
    )


def edited_defaults(entity: Entity) -> set[str]:
    """Return the fields that the caller did not pass, and whose default was edited in place.

    Raises:
        ValidationError: such a field has a value that cannot be stored.
    """
    cls, values, given = type(entity), entity.__dict__, entity.model_fields_set
    return {
        name
        for name, default in _defaults(cls).items()
        if name not in given
        and not is_scalar(value := values.get(name))
        and not json_equal(_identity(cls, name, value), default)
    }


@lru_cache(maxsize=1024)
def _defaults(entity_class: type[Entity]) -> Mapping[str, Any]:
    """Return the default of each field that has the same one in every object, as fingerprints contain it."""
    table, found = entity_class.storekit_table, dict[str, Any]()
    for name in (*table.columns, *(part.name for part in table.parts.values() if part.collection)):
        try:
            made = [_identity(entity_class, name, each) for each in _made(entity_class.model_fields[name])]
        except Exception:  # noqa: S112 code of the class failed, or a default that no save accepts
            continue
        # twice: a factory may return another value each time, in a list for example
        if made and json_equal(made[0], made[-1]):
            found[name] = made[0]
    return found


def _made(info: FieldInfo) -> Iterator[Any]:
    factory: Any = info.default_factory
    if factory is None:
        if not info.is_required():
            yield info.default
        return
    kind = get_origin(factory) or factory
    if isinstance(kind, type) and issubclass(kind, list | dict | BaseModel):
        yield from (factory(), factory())


def _identity(entity_class: type[Entity], name: str, value: Any) -> Any:
    """Return an encoded column or the hash of a document, without generated values inside it."""
    column = entity_class.storekit_table.columns.get(name)
    if column is not None:
        return without(encode_column(column, value, f"{entity_class.__name__}.{name}"), generated(value))
    if value is None:
        return None
    return body_hash(without(encode_document(entity_class, name, value).body, generated(value))).hex()
