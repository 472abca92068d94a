"""The records that the fault tests save, and the rules for the visible ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel

from storekit import Blob, Entity, Expired, Mutable, blob, document, index, moves, references


class Details(BaseModel):
    """The document of a note."""

    text: str


class Marker(Entity, table="fault_markers"):
    """A record with columns only."""

    title: str


class Note(Entity, Mutable, table="fault_notes"):
    """A record with a document and a blob."""

    title: str
    details: Annotated[
        Details | Expired, document(collection="fault_details", ttl=timedelta(days=90), links=("content",))
    ]
    content: Annotated[Blob | None, blob(media_type="text/plain")] = None


class Shelf(Entity, table="fault_shelves"):
    """A record with up to ten parts."""

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


class Ticket(Entity, Mutable, table="fault_tickets", indexes=[index("status", "created_on")]):
    """A record with one transition, and the queue of those that wait for it."""

    status: Annotated[TicketStatus, moves({TicketStatus.OPEN: [TicketStatus.CLOSED]})] = TicketStatus.OPEN


class Tally(Entity, Mutable, table="fault_tallies", natural_key=("name",)):
    """A record with columns only, which many workers change."""

    name: str
    count: int = 0


class Delivery(Entity, table="fault_deliveries", natural_key=("title",)):
    """An event that another system delivers at least once: its external id, and a document."""

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
    """Return a request to save a record with columns only."""
    return [marker(title)]


def one_note(title: str) -> list[Note]:
    """Return a request to save a record with a document and a blob."""
    return [note(title)]


def three_notes(title: str) -> list[Note]:
    """Return a request to save several records at once."""
    return [note(f"{title} {n}") for n in range(3)]


def twenty_notes(title: str) -> list[Note]:
    """Return a request with more puts than one wave can run at once."""
    return [note(f"{title} {n}") for n in range(20)]


REQUESTS: dict[str, Callable[[str], Saved]] = {
    "one_marker": one_marker,
    "one_note": one_note,
    "three_notes": three_notes,
}
LONG_REQUESTS: dict[str, Callable[[str], Saved]] = {"twenty_notes": twenty_notes}
ALL_REQUESTS = REQUESTS | LONG_REQUESTS
