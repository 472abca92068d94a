"""The stored state that an object remembers, besides the values of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from storekit.errors import Corrupt
from storekit.model.values.blob import Blob
from storekit.ports.stores import StoredPart


@dataclass(slots=True, eq=False)
class Stored:
    """The state of the record in the database when this object was last loaded or saved."""

    tenant: UUID
    columns: Mapping[str, Any]
    """Encoded column values; a save writes the columns that differ from them."""
    parts: dict[str, StoredPart]
    """Committed parts by field; a field that is absent here is empty."""


@dataclass(slots=True, eq=False)
class EntityMemory:
    """What an object remembers of its stored record, besides the values of its fields."""

    stored: Stored | None = None
    undecided: tuple[UUID, UUID] | None = None
    """Tenant and write id of an earlier save with an unknown outcome, which the next save settles first."""
    digests: dict[str, bytes] = field(default_factory=dict)
    """Hashes of the documents when they were loaded or saved; a document with another hash has changed."""
    blobs: dict[str, Blob] = field(default_factory=dict)
    """The Blob objects that were loaded or saved. They are compared by identity, so another object is a
    change: comparing the content would require reading the whole blob."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Fields whose stored value the class cannot hold, with the reason. They are absent from the object."""
    expired: frozenset[str] = frozenset()
    """Document fields that have expired and have no ref any more: the row has only `<field>_expired_on`."""
    damaged: dict[str, Corrupt] = field(default_factory=dict)
    """Documents that are damaged or missing in their store, with the error that reading the field raises."""
    failed: str | None = None
    """Why code of the class failed when the record was read. The object then has only what storekit sets."""
    waiting: bool = False
    """Whether `model_post_init` reads a document that is not loaded; it runs again when documents are."""
    request: tuple[str, Any] | None = None
    """The idempotency key of the last unit of work that saved the object, and the part of the object that its
    fingerprint covers. A repetition with the same object is the same request, although the object is stored
    by then."""
    replayed: tuple[str, str] | None = None
    """The idempotency key of a save that returned a stored record in place of this object, and its ref_id."""

    made_in: object | None = None
    """The run of validators in which the object was made: they may set its fields to any value."""

    def copy(self) -> EntityMemory:
        """Return a memory that can change independently of this one."""
        return replace(
            self,
            digests={**self.digests},
            blobs={**self.blobs},
            unreadable={**self.unreadable},
            damaged={**self.damaged},
            made_in=None,
        )

    def __eq__(self, other: object) -> bool:
        # pydantic compares private attributes too, but entities with equal fields must be equal
        return isinstance(other, EntityMemory)

    __hash__ = None  # type: ignore[assignment]  # all objects are equal, so a hash would be useless


class _Placeholder(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


NOT_LOADED, UNREADABLE = _Placeholder("<not loaded>"), _Placeholder("<unreadable>")
"""What `repr` of an entity shows for a field that has no value."""
