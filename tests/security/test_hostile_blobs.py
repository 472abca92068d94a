"""File names and media types are stored unchanged, and never become an S3 path or a header."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from email.message import Message
from functools import cache, partial
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from storekit import Blob, ValidationError
from storekit.bridge import settle
from storekit.testing import memory_store
from tests.security import hostile
from tests.security.legs import ENTITIES, Leg, Ticket, outcome, quiet

KEY = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/tickets/[0-9A-Z]{26}/file/[0-9a-f-]{36}"
FACTS: dict[str, Callable[[str], Blob]] = {
    "filename": lambda text: Blob("x", filename=text),
    "media_type": lambda text: Blob("x", media_type=text),
}


def ticket(fact: str, text: str) -> Ticket:
    return Ticket(title="x", file=FACTS[fact](text))


@cache
def accepted(fact: str) -> Sequence[str]:
    """Find out in memory which texts a blob accepts, so that servers get them in one batch."""
    tickets, taken = memory_store(*ENTITIES).scope(tenant=uuid4(), actor="x").repository(Ticket), []
    for text in hostile.TEXTS:
        try:
            tickets.save(ticket(fact, text))
        except ValidationError:
            continue
        taken.append(text)
    return taken


@pytest.mark.parametrize("fact", FACTS)
async def test_file_names_and_media_types_round_trip(
    leg: Leg, fact: str, request: pytest.FixtureRequest
) -> None:
    """A file name or media type is refused before anything is sent, or is stored unchanged."""
    tickets, taken = leg.tickets(), accepted(fact)
    assert len(taken) > 10
    with quiet():
        for text in set(hostile.TEXTS).difference(taken):
            got = await outcome(partial(tickets.save, ticket(fact, text)), text)
            assert isinstance(got, ValidationError), f"{text!r:.100}: {got!r:.100}"
    taken = leg.some(taken)
    saved = await settle(tickets.save_many([ticket(fact, text) for text in taken]))
    for text, record in zip(taken, saved, strict=True):
        found = await settle(tickets.get(record.ref_id))
        assert getattr(found.file, fact) == text or (fact, text, found.file.media_type) == (
            "media_type", "", "text/plain",
        )  # fmt: skip
    urls = await settle(tickets.urls([record.ref_id for record in saved], "file"))
    for url in list(urls.values())[:: 25 if leg.servers else 1]:
        got = leg.browse(url)
        assert (got.status, got.body, got.disposition.partition(";")[0]) == (200, b"x", "attachment")
    if leg.servers:
        query = "SELECT key FROM storekit.part WHERE store = 's3' AND key !~ %s"
        assert request.getfixturevalue("hostile_postgres").ask(query, f"^{KEY}$") == []


async def test_download_as_sets_only_the_file_name(leg: Leg) -> None:
    """download_as sets the file name of one header, whatever it contains, and nothing else in the URL."""
    tickets = leg.tickets()
    record = await settle(tickets.save(Ticket(title="x", file=Blob("x"))))
    plain = urlsplit(await settle(tickets.url(record.ref_id, "file")))
    for text in leg.some(hostile.TEXTS):
        got = await outcome(partial(tickets.url, record.ref_id, "file", download_as=text), text)
        if isinstance(got, ValidationError):
            continue
        parts = urlsplit(got)
        assert (parts.scheme, parts.netloc, parts.path) == (plain.scheme, plain.netloc, plain.path)
        assert leg.servers or _offered(parts.query) in (text or None, None), f"{text!r:.100}"


def _offered(query: str) -> str | None:
    """Parse the file name out of a URL as a browser parses it out of the header."""
    headers = parse_qs(query).get("response-content-disposition")
    if headers is None:
        return None
    (header,) = headers
    assert "\n" not in header
    assert "\r" not in header
    message = Message()
    message["Content-Disposition"] = header
    return message.get_filename()
