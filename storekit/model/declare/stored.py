"""What an object knows of its stored record, besides the values of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

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
    """What an object knows of its record besides its fields."""

    stored: Stored | None = None
    undecided: tuple[UUID, UUID] | None = None
    """Tenant and write id of an earlier save whose outcome is unknown: the next save finds it out first."""
    digests: dict[str, bytes] = field(default_factory=dict)
    """Hashes of the documents when they were loaded or saved; a document with another hash has changed."""
    blobs: dict[str, Blob] = field(default_factory=dict)
    """The Blob objects that were loaded or saved, compared by identity: another object in the field is a
    change. Comparing content would need a read of the whole blob."""
    expired: frozenset[str] = frozenset()
    """Document fields that have expired, of which the ledger keeps only that fact."""

    def __eq__(self, other: object) -> bool:
        # pydantic compares private attributes too, but entities with equal fields must be equal
        return isinstance(other, EntityMemory)

    __hash__ = None  # type: ignore[assignment]  # equal to every other, so a hash would be useless
