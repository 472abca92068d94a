"""The records that fault tests save, and what must be true of those that can be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel

from storekit import Blob, Entity, Expired, Mutable, blob, document, moves, references


class Details(BaseModel):
    """The document of a note."""

    text: str


class Marker(Entity, table="fault_markers"):
    """A row alone."""

    title: str


class Note(Entity, Mutable, table="fault_notes"):
    """A row, a document and a blob."""

    title: str
    details: Annotated[
        Details | Expired, document(collection="fault_details", ttl=timedelta(days=90), links=("content",))
    ]
    content: Annotated[Blob | None, blob(media_type="text/plain")] = None


class Shelf(Entity, table="fault_shelves"):
    """As many parts as one asks for, up to ten."""

    title: str
    marker_id: Annotated[UUID | None, references(Marker)] = None
    blob_0: Annotated[Blob | None, blob()] = None
    blob_1: Annotated[Blob | None, blob()] = None
    blob_2: Annotated[Blob | None, blob()] = None
    blob_3: Annotated[Blob | None, blob()] = None
    blob_4: Annotated[Blob | None, blob()] = None
    blob_5: Annotated[Blob | None, blob()] = None
    doc_0: Annotated[Details | None, document(collection="fault_shelf")] = None
    doc_1: Annotated[Details | None, document(collection="fault_shelf")] = None
    doc_2: Annotated[Details | None, document(collection="fault_shelf")] = None
    doc_3: Annotated[Details | None, document(collection="fault_shelf")] = None


class TicketStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class Ticket(Entity, Mutable, table="fault_tickets"):
    """Moves once."""

    status: Annotated[TicketStatus, moves({TicketStatus.OPEN: [TicketStatus.CLOSED]})] = TicketStatus.OPEN


class Tally(Entity, Mutable, table="fault_tallies", natural_key=("name",)):
    """A row alone that many change."""

    name: str
    count: int = 0


class Delivery(Entity, table="fault_deliveries", natural_key=("title",)):
    """What another system sends at least once: its own name, and a document."""

    title: str
    details: Annotated[Details | None, document(collection="fault_details")] = None


ENTITIES = (Marker, Note, Shelf, Ticket, Tally, Delivery)

Saved = Sequence[Marker | Note]


def marker(title: str) -> Marker:
    return Marker(title=title)


def note(title: str) -> Note:
    return Note(title=title, details=Details(text=f"details of {title}"), content=Blob(f"content of {title}"))


def delivery(title: str) -> Delivery:
    return Delivery(title=title, details=Details(text=f"details of {title}"))


def one_marker(title: str) -> list[Marker]:
    """Name the request of a save of a row alone."""
    return [marker(title)]


def one_note(title: str) -> list[Note]:
    """Name the request of a save of a row with a document and a blob."""
    return [note(title)]


def three_notes(title: str) -> list[Note]:
    """Name the request of a save of several records at once."""
    return [note(f"{title} {n}") for n in range(3)]


def twenty_notes(title: str) -> list[Note]:
    """Name the request of a save with a long wave."""
    return [note(f"{title} {n}") for n in range(20)]


REQUESTS: dict[str, Callable[[str], Saved]] = {
    "one_marker": one_marker,
    "one_note": one_note,
    "three_notes": three_notes,
}
LONG_REQUESTS: dict[str, Callable[[str], Saved]] = {"twenty_notes": twenty_notes}
ALL_REQUESTS = REQUESTS | LONG_REQUESTS
