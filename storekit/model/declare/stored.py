"""What an object remembers of its record, beside the values in its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from storekit.model.values.blob import Blob
from storekit.ports.stores import StoredPart


@dataclass(slots=True, eq=False)
class Stored:
    """What the database holds of an entity, as this object last saw it."""

    tenant: UUID
    columns: Mapping[str, Any]
    """Encoded column values: what differs from them is written."""
    parts: dict[str, StoredPart]
    """Parts by field; a field without one is empty."""


@dataclass(slots=True, eq=False)
class Memory:
    """What an entity remembers beside its fields."""

    stored: Stored | None = None
    undecided: tuple[UUID, UUID] | None = None
    """Tenant and id of a former write of this object whose outcome is open."""
    digests: dict[str, bytes] = field(default_factory=dict)
    """Hashes of the documents as this object held them when they were loaded or saved."""
    blobs: dict[str, Blob] = field(default_factory=dict)
    """The very objects that were loaded or saved: another object in the field is a change."""
    expired: frozenset[str] = frozenset()
    """Documents of which the ledger keeps no more than that they expired."""

    def __eq__(self, other: object) -> bool:
        # pydantic compares private attributes too, but entities are equal by their fields
        return isinstance(other, Memory)

    __hash__ = None  # type: ignore[assignment]  # equal to any other
