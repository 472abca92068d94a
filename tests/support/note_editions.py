"""Versions of one class, for tests of changes to its table."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, create_model

from storekit import Blob, Entity, Expired, Mutable, blob, document


class Status(StrEnum):
    DRAFT = "draft"
    FINAL = "final"


class Longer(StrEnum):
    NEW = "new"
    DRAFT = "draft"
    REVIEW = "review"
    FINAL = "final"


class Payload(BaseModel):
    query: str


class Author(Entity, table="authors"):
    name: str


class Plan(Entity, Mutable, table="plans", scope="global"):
    name: str


def logged(days: int, *links: str) -> tuple[Any, None]:
    """Return the field of a document with a time to live in days."""
    mark = document(collection="logs", ttl=timedelta(days=days), links=links)
    return Annotated[Payload | Expired | None, mark], None


Fields = dict[str, Any]
START: Fields = {
    "title": (str, ...),
    "status": (Status, Status.DRAFT),
    "note": (str | None, None),
    "author_id": (UUID | None, None),
    "plan_id": (UUID | None, None),
    "token": (str, "x"),
    "log": logged(9, "pdf"),
    "pdf": (Annotated[Blob | None, blob()], None),
}


def note(changed: Fields | None = None, *mixins: type, **keywords: Any) -> type[Entity]:
    """Return a version of the class of notes with changed fields."""
    bases = (Entity, *(mixins or (Mutable,)))
    fields = {**START, **(changed or {})}
    keywords = {"table": "notes", **keywords}
    return create_model("Note", __base__=bases, __cls_kwargs__=keywords, **fields)
