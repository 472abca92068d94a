"""`Change`: what one save writes to one row, and which parts are new."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from storekit.errors import ValidationError
from storekit.errors.shown import shown
from storekit.model.declare.entity import Entity
from storekit.model.save.documents import Encoded
from storekit.model.save.plan import RowOperation
from storekit.model.table.fields import LONGEST_MEDIA_TYPE
from storekit.model.table.table import Table
from storekit.model.values.blob import Blob
from storekit.model.values.bson import Body
from storekit.model.values.disposition import disposition
from storekit.model.values.media_types import UNKNOWN, by_name
from storekit.model.values.source import MeasuredSource
from storekit.ports.stores import StoredPart

_MEDIA_TYPE = re.compile(r"[!-~]+/[!-~]+(?: [!-~]+)*").fullmatch


@dataclass(frozen=True, slots=True)
class Content:
    """A new blob after it was measured, with its media type and file name."""

    source: MeasuredSource
    media_type: str
    filename: str | None

    def equals(self, stored: StoredPart) -> bool:
        """Return whether the ledger has the same bytes under the same type and name."""
        own = self.source.sha256.hex(), self.media_type, self.filename
        return own == (stored.sha256, stored.media_type, stored.filename)


@dataclass(frozen=True, slots=True)
class Request:
    """What the caller asked for, where the stored record decides which row operation that is.

    A request that is repeated after its commit finds other stored records, so the fingerprint covers this
    instead of the row operation.
    """

    verb: str
    given: frozenset[str]
    """The fields that the caller gave."""
    id: UUID | None = None
    """The id of the caller's object, if its natural key names the record; else the ref_id does."""


@dataclass(slots=True)
class Change:
    """The changes of one row. A flow adds what must be read first, then makes the plan."""

    owner: str
    """The name of the class, for error messages."""
    table: Table
    operation: RowOperation
    ref_id: str
    id: UUID | None = None
    expected_version: int | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    """Encoded values to write."""
    blobs: dict[str, Blob] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)
    """The measured content of each blob in `blobs`."""
    documents: dict[str, Encoded] = field(default_factory=dict)
    copied: dict[str, Body] = field(default_factory=dict)
    """The stored body of each document in `documents_to_copy`."""
    emptied: set[str] = field(default_factory=set)
    stored: Mapping[str, StoredPart] = field(default_factory=dict)
    declared: dict[str, Any] = field(default_factory=dict)
    """Encoded values that the caller declared; the fingerprint covers them."""
    left_out: Set[str] = frozenset()
    """Columns of a new record that the fingerprint leaves out."""
    identities: dict[str, str] = field(default_factory=dict)
    """For documents with generated values: the hash without them, which the fingerprint covers."""
    column_identities: dict[str, Any] = field(default_factory=dict)
    """For columns with generated values: the encoded value without them, which the fingerprint covers."""
    holder: Entity | None = None
    """The object that was changed; None for a partial update."""
    given: Set[str] = frozenset()
    """For an upsert that does not compare the version: the columns to write if anything is written."""
    place: int = 0
    """The position of the record in the caller's list or unit of work."""
    request: Request | None = None
    ignored: bool = False
    """Whether nothing is written, because the natural key exists: it is part of the fingerprint only."""
    reason: str | None = None
    """The text that the event of the change gets."""
    identity: Any = None
    """The part of this change that the fingerprint covers, as JSON. An earlier request may have set it."""
    compared: bool = False
    """Whether the caller gave `expected_version`; it is then compared even if there is nothing to write."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        written = self.columns or self.blobs or self.documents or self.emptied
        return self.ignored or (self.operation == "update" and not written)

    def where(self, name: str) -> str:
        """Return the name of a field as error messages show it."""
        return f"{self.owner}.{name}"

    def measure(self, name: str) -> Content:
        """Check a new blob's type and name, and read it once for its size and hash. Blocks on disk.

        Raises:
            ValidationError: the type or the name is invalid, or the content cannot be read.
        """
        blob, where = self.blobs[name], self.where(name)
        declared = self.table.parts[name].media_type or UNKNOWN
        media_type = blob.media_type or (by_name(blob.filename) if declared == UNKNOWN else declared)
        if len(media_type) > LONGEST_MEDIA_TYPE:
            raise ValidationError(
                f"the media type has {len(media_type)} characters; the limit is {LONGEST_MEDIA_TYPE}",
                field=where,
            )
        if not _MEDIA_TYPE(media_type):
            raise ValidationError(
                f"{shown(media_type)} is not a media type, such as text/markdown", field=where
            )
        try:
            disposition(blob.filename, inline=False)
        except ValidationError as error:
            raise ValidationError(str(error), field=where) from error
        return Content(blob.measure(where), media_type, blob.filename)

    @property
    def needs_stored_parts(self) -> bool:
        """Whether the plan needs the stored parts of a record that is updated without being loaded.

        A document must be copied because a blob that it links changes, or is new and links stored blobs.
        """
        if self.holder is not None:  # the memory of the object has them
            return False
        touched, specs = self.blobs.keys() | self.emptied, self.table.parts
        return any(not touched.isdisjoint(spec.links) for spec in specs.values()) or any(
            not touched.issuperset(specs[name].links) for name in self.documents
        )

    def documents_to_copy(self) -> list[str]:
        """List the stored documents that link a changed blob and must be written again with the same body.

        A document is immutable and carries the key, size and hash of the blobs it links, so that applications
        that read MongoDB directly can find the blobs. An expired document has no body left to copy.
        """
        touched = self.blobs.keys() | self.emptied
        if not touched:
            return []
        replaced = self.documents.keys() | self.emptied
        return [
            part.name
            for part in self.table.parts.values()
            if part.name not in replaced
            and not touched.isdisjoint(part.links)
            and (known := self.stored.get(part.name)) is not None
            and not known.expired
        ]
