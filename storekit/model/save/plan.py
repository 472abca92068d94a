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

Operation = Literal["insert", "update", "delete", "restore"]


@dataclass(frozen=True, slots=True)
class PartPlan:
    """One new part: a blob with its source, or a document with its body."""

    row: int
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
    """Of a document: the stored blobs it links, which this plan does not touch."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    """One row to be written."""

    table: Table
    operation: Operation
    ref_id: str
    id: UUID | None = None
    expected_version: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    refs: Mapping[str, int | None] = field(default_factory=dict)
    """By part field: which of the plan's parts, or None to empty the field."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one save does, whatever its number of rows."""

    rows: tuple[RowPlan, ...]
    parts: tuple[PartPlan, ...]
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Write:
    """One attempt to carry a plan out: its ids are fresh, so it touches nothing of another attempt."""

    write_id: UUID
    part_ids: tuple[UUID, ...]

    @classmethod
    def of(cls, plan: Plan) -> Write:
        """Mint the ids of an attempt."""
        return cls(ids.new_id(), tuple(ids.new_id() for _ in plan.parts))
