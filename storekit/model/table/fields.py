"""What a field's annotation says about where its value lives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from storekit.errors import UsageError
from storekit.model.table.table import OnDelete, Table

S = TypeVar("S", bound=StrEnum)
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


class HasTable(Protocol):
    """An entity class with a table, as far as a reference needs to know it."""

    storekit_table: ClassVar[Table]


@dataclass(frozen=True, slots=True)
class ReferenceMark:
    """The arguments of `references()`; the declaration of the class resolves them to a `Reference`."""

    target: type[HasTable] | str
    on_delete: OnDelete


@dataclass(frozen=True, slots=True)
class MovesMark:
    allowed: tuple[tuple[StrEnum, tuple[StrEnum, ...]], ...]
    initial: tuple[StrEnum, ...] | None

    @property
    def states(self) -> Iterable[StrEnum]:
        """Every state that is named."""
        for state, others in self.allowed:
            yield from (state, *others)
        yield from self.initial or ()


@dataclass(frozen=True, slots=True)
class LookupMark:
    pass


Mark = BlobMark | DocumentMark | ReferenceMark | MovesMark | LookupMark


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


def references(target: type[HasTable] | str, *, on_delete: OnDelete = "restrict") -> ReferenceMark:
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


def moves(allowed: Mapping[S, Iterable[S]], *, initial: Iterable[S] | None = None) -> MovesMark:
    """Let the column change as the mapping says, and no other way; the database enforces it.

    Args:
        allowed: from a state to those it may go to; a state that is no key is final.
        initial: where a record may begin; by default the field's default, or else anywhere.
    """
    if not isinstance(allowed, Mapping) or any(isinstance(others, str) for others in allowed.values()):
        raise UsageError(
            f"moves({allowed!r}): it must map a state to a list of states, as {{Status.OPEN: [Status.DONE]}}"
        )
    if isinstance(initial, str):
        raise UsageError(f"moves(initial={initial!r}): it must be a list of states")
    pairs = tuple((state, tuple(dict.fromkeys(others))) for state, others in allowed.items())
    mark = MovesMark(pairs, None if initial is None else tuple(dict.fromkeys(initial)))
    if not any(others for _, others in pairs) or mark.initial == ():
        raise UsageError("moves(): it must allow a move, and `initial`, if given, a state to begin in")
    for state in mark.states:
        if not isinstance(state, StrEnum):
            raise UsageError(f"moves(): {state!r} must be a member of the field's StrEnum")
    return mark


def lookup() -> LookupMark:
    """Find a record by this column before its tenant is known: by the digest of a session's token, say."""
    return LookupMark()
