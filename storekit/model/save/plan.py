"""The plan of a save: which rows change and which parts are new. It contains no new ids and needs no I/O.

All attempts to execute a plan share it; each attempt is a `Write` with its own ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from storekit import ids
from storekit.model.table.table import Part, Table
from storekit.model.values.bson import Body
from storekit.model.values.source import MeasuredSource

RowOperation = Literal["insert", "update", "delete", "restore", "transition", "check"]
"""A check writes nothing: it requires that the row exists and has the expected version."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """One new part: a blob with its source, or a document with its body."""

    row: int
    """The position of its row in the plan."""
    spec: Part
    size: int
    sha256: bytes
    media_type: str | None = None
    filename: str | None = None
    source: MeasuredSource | None = None
    body: Body | None = None
    expires_on: datetime | None = None
    """The expiry of the document that this one replaces; None means a new time to live."""
    links: Mapping[str, Any] = field(default_factory=dict)
    """For a document: the stored blobs that it links and this plan does not change."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    """One row to be written."""

    change: int
    """The position of its change in the sequence that the plan was made of."""
    table: Table
    operation: RowOperation
    ref_id: str
    id: UUID | None = None
    expected_version: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    refs: Mapping[str, int | None] = field(default_factory=dict)
    """By part field: the position of a part in the plan, or None to empty the field."""
    reason: str | None = None
    """The text that the event of the row gets."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one save does, whatever its number of rows."""

    rows: tuple[RowPlan, ...]
    parts: tuple[PartPlan, ...]
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Write:
    """One attempt to execute a plan.

    Its ids are new: part ids become S3 keys and MongoDB ids and are never used again, so the parts of a
    failed attempt can be removed while the next attempt uploads the same content.
    """

    plan: Plan
    write_id: UUID
    part_ids: tuple[UUID, ...]
    key: str | None = None
    """The idempotency key."""

    @classmethod
    def of(cls, plan: Plan, key: str | None = None) -> Write:
        """Create an attempt with new ids."""
        return cls(plan, ids.new_id(), tuple(ids.new_id() for _ in plan.parts), key)
