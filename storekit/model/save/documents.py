"""Convert documents between the type that the class declares and the body that MongoDB keeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticError

from storekit.errors import ValidationError
from storekit.model.values.bson import Body, body_hash, encode_body, encode_declared
from storekit.model.values.equal import difference
from storekit.model.values.json_values import lossy
from storekit.model.values.walk import reasons, validated

if TYPE_CHECKING:
    from storekit.model.declare.entity import Entity


@dataclass(frozen=True, slots=True)
class Encoded:
    """A body ready for MongoDB."""

    body: Body
    size: int
    sha256: bytes


@lru_cache(maxsize=1024)
def adapter(entity: type[Entity], name: str) -> TypeAdapter[Any]:
    """Return a validator of one field. The validators of the class may need fields that are not loaded."""
    info = entity.model_fields[name]
    kind: Any = info.annotation
    for mark in info.metadata:
        kind = Annotated[kind, mark]
    return TypeAdapter(kind)


def digest(entity: type[Entity], name: str, value: Any) -> bytes:
    """Return the hash of a document that was read, without checking whether it would be read again."""
    return body_hash(encode_declared(adapter(entity, name), value, f"{entity.__name__}.{name}")[0])


def encode_document(entity: type[Entity], name: str, value: Any) -> Encoded:
    """Encode a value as a body, and check that reading the body returns the same value.

    Raises:
        ValidationError: a document cannot contain the value, or reading it back would return a different
            value.
    """
    where = f"{entity.__name__}.{name}"
    if entity.storekit_table.parts[name].free and type(value) is dict:
        # the classes of its values prove that they are read as they are
        body, size = encode_body(value, where)
        return Encoded(body, size, body_hash(body))
    body, size = encode_declared(adapter(entity, name), value, where)
    read = decode_document(entity, name, body)
    if (found := difference(value, read, cut=True)) is not None:
        raise lossy(found, where)
    return Encoded(body, size, body_hash(body))


def decode_document(entity: type[Entity], name: str, body: Body) -> Any:
    """Decode a body as the type that the class declares.

    Raises:
        ValidationError: the class no longer accepts the stored document.
    """
    try:
        return validated(adapter(entity, name), body)
    except PydanticError as error:
        raise ValidationError(
            f"the class does not accept the stored document: {reasons(error)}",
            field=f"{entity.__name__}.{name}",
        ) from error
