"""The records that the fault tests save, and the rules for the visible ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel

from storekit import Blob, Entity, Expired, Mutable, blob, document
from tests.support.entities import ENTITIES as SHARED
from tests.support.entities import Hit, Run


class Details(BaseModel):
    """The document of a note."""

    text: str


class Note(Entity, Mutable, table="fault_notes"):
    """A record with a blob, and a required document that expires and links the blob."""

    title: str
    details: Annotated[
        Details | Expired, document(collection="fault_details", ttl=timedelta(days=90), links=("content",))
    ]
    content: Annotated[Blob | None, blob(media_type="text/plain")] = None


ENTITIES = (*SHARED, Note)

Saved = Sequence[Run | Note]


def titles(records: Saved) -> list[str]:
    """Return the names of runs and the titles of notes."""
    return [each.title if isinstance(each, Note) else each.name for each in records]


def run(name: str) -> Run:
    """Return a record with columns only."""
    return Run(name=name)


def note(title: str) -> Note:
    return Note(title=title, details=Details(text=f"details of {title}"), content=Blob(f"content of {title}"))


def hit(external_id: str) -> Hit:
    """Return an event that another system delivers at least once, with a document."""
    return Hit(external_id=external_id, payload={"text": f"details of {external_id}"})


def one_run(title: str) -> list[Run]:
    """Return a request to save a record with columns only."""
    return [run(title)]


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
    "one_run": one_run,
    "one_note": one_note,
    "three_notes": three_notes,
}
LONG_REQUESTS: dict[str, Callable[[str], Saved]] = {"twenty_notes": twenty_notes}
ALL_REQUESTS = REQUESTS | LONG_REQUESTS
