"""A class whose fields have defaults of every kind: constants, factories of containers and of models."""

from __future__ import annotations

from collections import deque
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass

from storekit import Entity, Mutable, document


class Hue(str, Enum):  # noqa: UP042 not a StrEnum: its str() is not its value
    RED = "red"


class Stamp(BaseModel):
    id: UUID = Field(default_factory=uuid4)
    by: str = ""


@dataclass
class Sealed:
    stamp: Stamp


class Signed(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Stamp]


class Stamps(BaseModel):
    """Generated values below keys of several types, in a deque, in a dataclass and in extra values."""

    signed: Signed | None = None
    sealed: Sealed | None = None
    by_hue: dict[Hue, Stamp] = {}
    by_flag: dict[bool, Stamp] = {}
    by_time: dict[datetime, Stamp] = {}
    queue: deque[Stamp] = deque()


class Layout(BaseModel):
    columns: int = 2
    order: list[str] = Field(default_factory=list)
    id: UUID = Field(default_factory=uuid4)
    unit: str = Field(default_factory=lambda: "mm")


class Draft(Entity, Mutable, table="drafts", natural_key=["name"]):
    name: str = "untitled"
    pages: int = 1
    price: Decimal = Decimal("0.00")
    due: date = date(2026, 1, 1)
    seen_on: datetime = Field(default_factory=lambda: datetime.now(UTC))
    tags: list[str] = Field(default_factory=list)
    notes: dict[str, Any] = {}
    layout: Layout = Field(default_factory=Layout)
    stamps: Stamps | None = None
    body: Annotated[dict[str, Any], document(collection="draft_bodies")] = Field(default_factory=dict)
