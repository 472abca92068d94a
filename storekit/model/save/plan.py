"""The plan of a save: which rows change, which parts are new. Pure: no ids, no clock, no I/O.

A plan is the same for every attempt to carry it out; each attempt is a `Write` with ids of its own.
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

RowOperation = Literal["insert", "update", "delete", "restore"]


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
    """Kept from the document that this one replaces; None means a fresh time to live."""
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


@dataclass(frozen=True, slots=True)
class Plan:
    """What one save does, whatever its number of rows."""

    rows: tuple[RowPlan, ...]
    parts: tuple[PartPlan, ...]
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Write:
    """One attempt to carry a plan out.

    Its ids are fresh: part ids become S3 keys and MongoDB ids and are never used again, so an attempt that
    failed can be swept while the next one uploads the same content.
    """

    plan: Plan
    write_id: UUID
    part_ids: tuple[UUID, ...]
    key: str | None = None
    """The idempotency key."""

    @classmethod
    def of(cls, plan: Plan, key: str | None = None) -> Write:
        """Mint the ids of an attempt."""
        return cls(plan, ids.new_id(), tuple(ids.new_id() for _ in plan.parts), key)
