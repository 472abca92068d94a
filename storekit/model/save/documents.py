"""Convert documents between the type that the class declares and the body that MongoDB keeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticError

from storekit.errors import ValidationError
from storekit.model.values.bson import Body, body_hash, encode_body

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


def digest(value: Any, where: str) -> bytes:
    """Return the hash of the current value of a document field."""
    return body_hash(encode_body(value, where)[0])


def encode_document(entity: type[Entity], name: str, value: Any) -> Encoded:
    """Encode a value as a body, and check that reading the body returns the same value.

    Raises:
        ValidationError: a document cannot contain the value, or reading it back would return a different
            value.
    """
    where = f"{entity.__name__}.{name}"
    body, size = encode_body(value, where)
    encoded = Encoded(body, size, body_hash(body))
    read = decode_document(entity, name, body)
    if read != body and digest(read, where) != encoded.sha256:
        raise ValidationError(
            "the value would be different when it is read back; pass the declared type, not a subclass of it",
            field=where,
        )
    return encoded


def decode_document(entity: type[Entity], name: str, body: Body) -> Any:
    """Decode a body as the type that the class declares.

    Raises:
        ValidationError: the class no longer accepts the stored document.
    """
    try:
        return adapter(entity, name).validate_python(body)
    except PydanticError as error:
        raise ValidationError(
            f"the class does not accept the stored document: {reasons(error)}",
            field=f"{entity.__name__}.{name}",
        ) from error


def reasons(error: PydanticError) -> str:
    """Return pydantic's errors as text, without the values."""
    found = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, each['loc']))} {each['msg']}".strip() for each in found)
