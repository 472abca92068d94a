"""What a field's annotation says about where its value lives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from storekit.errors import UsageError

if TYPE_CHECKING:
    from storekit.model.entity import Entity

OnDelete = Literal["restrict", "cascade", "set null"]
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(\s*;.*)?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Expired:
    """The value of a document whose time to live is over; `on` is the instant it ended."""

    on: datetime

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # only an instance: a dict that happens to look like one is the user's data
        facts = core_schema.plain_serializer_function_ser_schema(lambda expired: {"expired_on": expired.on})
        return core_schema.is_instance_schema(cls, serialization=facts)


@dataclass(frozen=True, slots=True)
class BlobMark:
    media_type: str


@dataclass(frozen=True, slots=True)
class DocumentMark:
    collection: str
    ttl: timedelta | None
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReferenceMark:
    target: type[Entity] | str
    on_delete: OnDelete


def blob(*, media_type: str = "application/octet-stream") -> BlobMark:
    """Keep the field in S3; `media_type` is for blobs that name none."""
    if not isinstance(media_type, str) or not _MEDIA_TYPE.match(media_type):
        raise UsageError(f'blob(media_type={media_type!r}): it must be type/subtype, as "text/markdown"')
    return BlobMark(media_type)


def document(*, collection: str, ttl: timedelta | None = None, links: Sequence[str] = ()) -> DocumentMark:
    """Keep the field in a MongoDB collection.

    Args:
        collection: where it lives; several classes may share one.
        ttl: how long, from the save; the field's type must then include `Expired`.
        links: sibling blob fields whose key, size and hash the document carries.
    """
    if not isinstance(collection, str):
        raise UsageError(f"document(collection={collection!r}): it must be the name of a collection")
    if ttl is not None and not isinstance(ttl, timedelta):
        raise UsageError(f"document(ttl={ttl!r}): it must be a timedelta, as timedelta(days=90)")
    if isinstance(links, str) or not all(isinstance(link, str) for link in links):
        raise UsageError(f"document(links={links!r}): it must be a list of field names")
    return DocumentMark(collection, ttl, tuple(links))


def references(target: type[Entity] | str, *, on_delete: OnDelete = "restrict") -> ReferenceMark:
    """Make the UUID column a foreign key to the target's `id`, within the tenant.

    Args:
        target: the entity class, or the name of its table.
        on_delete: what happens to this row when the target row goes.
    """
    if not isinstance(target, str) and not hasattr(target, "storekit_table"):
        raise UsageError(
            f"references({target!r}): it must be an entity class with a table, or a table's name"
        )
    if on_delete not in get_args(OnDelete):
        raise UsageError(
            f"references(on_delete={on_delete!r}): it must be one of {', '.join(get_args(OnDelete))}"
        )
    return ReferenceMark(target, on_delete)
