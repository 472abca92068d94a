"""Marks in the annotation of a field: where its value is stored, what it refers to, how it can change."""

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
LONGEST_MEDIA_TYPE = 255
"""Characters of a media type: RFC 6838 allows 127 for each of its two names."""
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(\s*;.*)?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Expired:
    """The value of a document field after the time to live of the document has passed.

    Add it to the type of each document field that has a `ttl`. Reads return it; it cannot be saved.

    >>> from datetime import UTC
    >>> Expired(on=datetime(2026, 1, 31, tzinfo=UTC)).on.year
    2026

    Attributes:
        on: the instant at which the document expired.
    """

    on: datetime

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # accept instances only: a dict with the same keys is a document of the user
        facts = core_schema.plain_serializer_function_ser_schema(lambda expired: {"expired_on": expired.on})
        return core_schema.is_instance_schema(cls, serialization=facts)


class HasTable(Protocol):
    """An entity class with a table, as `references()` needs it."""

    storekit_table: ClassVar[Table]


@dataclass(frozen=True, slots=True)
class BlobMark:
    """The arguments of `blob()`."""

    media_type: str


@dataclass(frozen=True, slots=True)
class DocumentMark:
    """The arguments of `document()`."""

    collection: str
    ttl: timedelta | None
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReferenceMark:
    """The arguments of `references()`; the declaration of the class resolves them to a `Reference`."""

    target: type[HasTable] | str
    on_delete: OnDelete


@dataclass(frozen=True, slots=True)
class MovesMark:
    """The arguments of `moves()`."""

    allowed: tuple[tuple[StrEnum, tuple[StrEnum, ...]], ...]
    initial: tuple[StrEnum, ...] | None

    @property
    def states(self) -> Iterable[StrEnum]:
        """Yield every state that the arguments name."""
        for state, others in self.allowed:
            yield from (state, *others)
        yield from self.initial or ()


@dataclass(frozen=True, slots=True)
class LookupMark:
    """A call of `lookup()`."""


Mark = BlobMark | DocumentMark | ReferenceMark | MovesMark | LookupMark


def blob(*, media_type: str = "application/octet-stream") -> BlobMark:
    """Store the field in S3. Its type must be `Blob` or `Blob | None`.

    >>> from typing import Annotated
    >>> class Report(Entity, table="reports"):
    ...     pdf: Annotated[Blob | None, blob(media_type="application/pdf")] = None

    Args:
        media_type: media type of a blob that is saved without one, in the form type/subtype, at most 255
            characters.

    Raises:
        UsageError: `media_type` does not have the form type/subtype, or is too long.
    """
    valid = (
        isinstance(media_type, str)
        and _MEDIA_TYPE.match(media_type)
        and len(media_type) <= LONGEST_MEDIA_TYPE
    )
    if not valid:
        raise UsageError(
            f"blob(media_type={media_type!r:.60}) must be type/subtype with at most {LONGEST_MEDIA_TYPE} "
            'characters, as in "text/markdown"'
        )
    return BlobMark(media_type)


def document(*, collection: str, ttl: timedelta | None = None, links: Sequence[str] = ()) -> DocumentMark:
    """Store the field in a MongoDB collection. Its type must be a pydantic model or a `dict[str, ...]`.

    A save that does not change the document does not write it again.

    >>> from datetime import timedelta
    >>> from typing import Annotated, Any
    >>> logged = document(collection="call_logs", ttl=timedelta(days=90))
    >>> class Call(Entity, table="calls"):
    ...     payload: Annotated[dict[str, Any] | Expired, logged]

    Args:
        collection: name of the collection; several classes may share one.
        ttl: time from the save until the document expires. Default: the document does not expire. A field
            with a ttl must include `Expired` in its type.
        links: names of blob fields of the same class; the document stores their key, size and SHA-256.

    Raises:
        UsageError: an argument has another type.
    """
    if not isinstance(collection, str):
        raise UsageError(f"document(collection={collection!r}) must be the name of a collection")
    if ttl is not None and not isinstance(ttl, timedelta):
        raise UsageError(f"document(ttl={ttl!r}) must be a timedelta, as in timedelta(days=90)")
    if isinstance(links, str) or not all(isinstance(link, str) for link in links):
        raise UsageError(f"document(links={links!r}) must be a list of field names")
    return DocumentMark(collection, ttl, tuple(links))


def references(target: type[HasTable] | str, *, on_delete: OnDelete = "restrict") -> ReferenceMark:
    """Declare the UUID field as a foreign key to the `id` of another record of the same tenant.

    >>> from typing import Annotated
    >>> from uuid import UUID
    >>> class Run(Entity, table="runs"):
    ...     retry_of_id: Annotated[UUID | None, references("self")] = None
    >>> class Call(Entity, table="calls"):
    ...     run_id: Annotated[UUID, references(Run, on_delete="cascade")]

    Args:
        target: the entity class, "self" for the class itself, or the name of a table. With a table name,
            filters and URLs cannot follow the reference.
        on_delete: effect on this record when the target is deleted from its table: "restrict" (the default)
            prevents the deletion, "cascade" deletes this record too, "set null" empties the field.

    Raises:
        UsageError: `target` is not an entity class with a table, or `on_delete` has another value.
    """
    if not isinstance(target, str) and not hasattr(target, "storekit_table"):
        raise UsageError(
            f"references({target!r}) must be given an entity class with a table, or the name of a table"
        )
    if on_delete not in get_args(OnDelete):
        raise UsageError(
            f"references(on_delete={on_delete!r}): on_delete must be one of {', '.join(get_args(OnDelete))}"
        )
    return ReferenceMark(target, on_delete)


def moves(allowed: Mapping[S, Iterable[S]], *, initial: Iterable[S] | None = None) -> MovesMark:
    """Declare the StrEnum field as a state machine, which the database enforces.

    The state can change only as the mapping allows. The class must be `Mutable`, and the field must not be
    nullable.

    >>> from enum import StrEnum
    >>> from typing import Annotated
    >>> class Status(StrEnum):
    ...     OPEN = "open"
    ...     DONE = "done"
    >>> class Task(Entity, Mutable, table="tasks"):
    ...     status: Annotated[Status, moves({Status.OPEN: [Status.DONE]})] = Status.OPEN

    Args:
        allowed: for each state, the states that may follow it; a state that is not a key is final.
        initial: states that a new record may have. Default: only the default of the field, or any state if it
            has none.

    Raises:
        UsageError: the mapping allows no move, or names a state that is not a member of a StrEnum.
    """
    if not isinstance(allowed, Mapping) or any(isinstance(others, str) for others in allowed.values()):
        raise UsageError(
            f"moves({allowed!r}) must map a state to a list of states, as in {{Status.OPEN: [Status.DONE]}}"
        )
    if isinstance(initial, str):
        raise UsageError(f"moves(initial={initial!r}) must be a list of states")
    # dict.fromkeys removes duplicates and keeps the order, which Entity.plan() and messages show
    pairs = tuple((state, tuple(dict.fromkeys(others))) for state, others in allowed.items())
    mark = MovesMark(pairs, None if initial is None else tuple(dict.fromkeys(initial)))
    if not any(others for _, others in pairs) or mark.initial == ():
        raise UsageError("moves() must allow at least one move, and `initial`, if given, at least one state")
    for state in mark.states:
        if not isinstance(state, StrEnum):
            raise UsageError(f"moves(): {state!r} must be a member of the field's StrEnum")
    return mark


def lookup() -> LookupMark:
    """Declare that `store.lookup` can find a record by this field before its tenant is known.

    For example, find a session by the digest of its token. The field must be a non-nullable `str`, and a
    class can have only one. Use values that cannot be guessed: anyone who knows the value can find the
    record.

    >>> from typing import Annotated
    >>> class Session(Entity, Mutable, table="sessions"):
    ...     token_digest: Annotated[str, lookup()]
    """
    return LookupMark()
