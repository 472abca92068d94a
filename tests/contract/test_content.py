"""Blobs: content from every kind of source, read whole or as a stream, and served by URL."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from storekit import Blob, NotFound, UsageError, ValidationError, ids, trace
from tests.support.entities import Call, Note, Report, Run
from tests.support.harness import Harness, steps, trips

pytestmark = pytest.mark.parts

TEXT = "Grüße, 世界 🌍\r\n"


def _pieces() -> Iterator[bytes]:
    yield b"one "
    yield b""
    yield b"two"


def _written(directory: Path) -> Path:
    path = directory / "report.txt"
    path.write_bytes(b"from a file")
    return path


class _Pipe(io.BytesIO):
    """A file object that cannot seek."""

    def seekable(self) -> bool:
        return False


CONTENTS: dict[str, tuple[Any, bytes]] = {
    "str": (lambda _: TEXT, TEXT.encode()),
    "bytes": (lambda _: b"\x00\xff\x00", b"\x00\xff\x00"),
    "path": (_written, b"from a file"),
    "file": (lambda _: io.BytesIO(b"from a file object"), b"from a file object"),
    "pipe": (lambda _: _Pipe(b"read once"), b"read once"),
    "iterator": (lambda _: _pieces(), b"one two"),
    "empty": (lambda _: b"", b""),
    "empty iterator": (lambda _: iter(()), b""),
    "large": (lambda _: bytes(range(256)) * 12_000, bytes(range(256)) * 12_000),
}


@pytest.mark.parametrize("kind", CONTENTS)
async def test_content_comes_back_byte_for_byte(harness: Harness, kind: str, tmp_path: Path) -> None:
    """The content of a str, bytes, path, file, pipe or iterator is stored byte for byte."""
    make, expected = CONTENTS[kind]
    calls = harness.repository(Call)
    saved = await harness.call(transcript=Blob(make(tmp_path)))
    assert await calls.read(saved.ref_id, "transcript") == expected
    found = (await calls.get(saved.ref_id)).transcript
    assert (found.size, found.sha256) == (len(expected), sha256(expected).hexdigest())


async def test_a_file_is_read_from_its_position(harness: Harness) -> None:
    """A file object is saved from its current position, and is not closed."""
    file = io.BytesIO(b"header|content")
    file.seek(7)
    saved = await harness.call(transcript=Blob(file))
    assert await harness.repository(Call).read(saved.ref_id, "transcript") == b"content"
    assert not file.closed


async def test_open_returns_a_stream(harness: Harness) -> None:
    """open returns a stream, whose pieces together equal the result of read."""
    body = bytes(range(256)) * 4_000
    calls = harness.repository(Call)
    saved = await harness.call(transcript=Blob(body))
    async with calls.open(saved.ref_id, "transcript") as stream:
        first = await stream.read(10)
        rest = b"".join([chunk async for chunk in stream])
        assert await stream.read(10) == b""
    assert (first, first + rest) == (body[:10], body)


async def test_a_stream_may_be_closed_early(harness: Harness) -> None:
    """Closing a stream before its end does not affect later calls."""
    calls = harness.repository(Call)
    saved = await harness.call(transcript=Blob(bytes(3_000_000)))
    async with calls.open(saved.ref_id, "transcript") as stream:
        await stream.read(1)
    assert len(await calls.read(saved.ref_id, "transcript")) == 3_000_000


async def test_a_url_serves_exactly_the_saved_bytes(harness: Harness) -> None:
    """The URL responds with 200, the saved bytes, their media type, and as an attachment."""
    saved = await harness.call(transcript=Blob(TEXT))
    response = await harness.fetch(await harness.repository(Call).url(saved.ref_id, "transcript"))
    assert (response.status, response.body) == (200, TEXT.encode())
    assert (response.media_type, response.disposition) == ("text/markdown; charset=utf-8", "attachment")


async def test_a_url_keeps_serving_its_own_version(harness: Harness) -> None:
    """A URL that was signed before the content was replaced still serves the old content."""
    saved = await harness.call(transcript=Blob("# one"))
    calls = harness.repository(Call)
    url = await calls.url(saved.ref_id, "transcript")
    await calls.update(saved.ref_id, {"transcript": Blob("# two")})
    assert (await harness.fetch(url)).body == b"# one"
    assert (await harness.fetch(await calls.url(saved.ref_id, "transcript"))).body == b"# two"


async def test_a_url_names_the_file(harness: Harness) -> None:
    """The download has the saved file name or that of download_as, in any alphabet."""
    reports = harness.repository(Report)
    saved = await reports.save(Report(title="t", pdf=Blob(b"%PDF", filename="plan.pdf")))
    response = await harness.fetch(await reports.url(saved.ref_id, "pdf"))
    assert response.disposition == 'attachment; filename="plan.pdf"'
    response = await harness.fetch(await reports.url(saved.ref_id, "pdf", download_as="Übersicht.pdf"))
    assert (
        response.disposition == "attachment; filename=\"_bersicht.pdf\"; filename*=UTF-8''%C3%9Cbersicht.pdf"
    )


async def test_inline_is_refused_for_active_content(harness: Harness) -> None:
    """inline=True shows a PDF in the browser and is refused for HTML."""
    reports = harness.repository(Report)
    pdf = await reports.save(Report(title="t", pdf=Blob(b"%PDF")))
    assert (await harness.fetch(await reports.url(pdf.ref_id, "pdf", inline=True))).disposition == "inline"
    page = await reports.save(Report(title="t", pdf=Blob("<script>", media_type="text/html")))
    with pytest.raises(UsageError):
        await reports.url(page.ref_id, "pdf", inline=True)
    response = await harness.fetch(await reports.url(page.ref_id, "pdf"))
    assert (response.media_type, response.disposition) == ("application/octet-stream", "attachment")


async def test_an_expired_url_is_refused(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL responds with 403 after its expiry."""
    saved = await harness.call(transcript=Blob("# hi"))
    past = ids.now() - timedelta(hours=2)
    with monkeypatch.context() as patch:
        patch.setattr(ids, "now", lambda: past)
        url = await harness.repository(Call).url(saved.ref_id, "transcript", expires_in=60)
    assert (await harness.fetch(url)).status == 403


async def test_a_url_with_another_signature_is_refused(harness: Harness) -> None:
    """A URL that carries the signature of another URL responds with 403."""
    calls = harness.repository(Call)
    one, two = await harness.call(transcript=Blob("# one")), await harness.call(transcript=Blob("# two"))
    signed, other = [await calls.url(each.ref_id, "transcript") for each in (one, two)]
    forged = signed[:-64] + other[-64:]
    assert (await harness.fetch(signed)).status == 200
    assert (await harness.fetch(forged)).status == 403


async def test_urls_returns_a_url_for_each_record_with_content(harness: Harness) -> None:
    """urls omits unknown records and records without content."""
    calls = harness.repository(Call)
    full, empty = await harness.call(transcript=Blob("# hi")), await harness.call()
    found = await calls.urls([full.ref_id, empty.ref_id, Run(name="x").ref_id, full.ref_id], "transcript")
    assert found.keys() == {full.ref_id}
    assert (await harness.fetch(found[full.ref_id])).body == b"# hi"
    assert await calls.urls([], "transcript") == {}


async def test_an_empty_field_is_not_found(harness: Harness) -> None:
    """read, open and url of an empty field raise NotFound with the name of the field."""
    calls = harness.repository(Call)
    saved = await harness.call()
    for attempt in (calls.read, calls.url):
        with pytest.raises(NotFound) as caught:
            await attempt(saved.ref_id, "transcript")
        assert caught.value.field == "transcript"
    with pytest.raises(NotFound):
        async with calls.open(saved.ref_id, "transcript"):
            pass


async def test_the_media_type_of_the_blob_takes_precedence(harness: Harness) -> None:
    """A Blob keeps its own media type; without one it gets that of the field."""
    notes = harness.repository(Note)
    own = await notes.save(Note(title="t", content=Blob("a,b", media_type="text/csv")))
    default = await notes.save(Note(title="t", content=Blob("a")))
    assert (await notes.get(own.ref_id)).content.media_type == "text/csv"
    assert (await notes.get(default.ref_id)).content.media_type == "text/plain"


async def test_a_loaded_blob_cannot_be_saved_in_another_record(harness: Harness) -> None:
    """A loaded Blob has no content, so saving it in another record is refused."""
    saved = await harness.call(transcript=Blob("# hi"))
    loaded = await harness.repository(Call).get(saved.ref_id)
    with steps() as seen, pytest.raises(UsageError):
        await harness.repository(Call).save(Call(run_id=saved.run_id, name="x", transcript=loaded.transcript))
    assert trips(seen) == {}


async def test_content_that_shrinks_while_it_is_saved_is_refused(harness: Harness, tmp_path: Path) -> None:
    """Content that changes between hashing and upload raises ValidationError; nothing becomes visible."""
    file = tmp_path / "content"
    file.write_bytes(b"content")

    def shrink(name: str, phase: trace.Phase) -> None:
        if (name, phase) == ("s3.put", "started"):
            file.write_bytes(b"co")

    run = await harness.run()
    call = Call(run_id=run.id, name="x", transcript=Blob(file))
    with trace.listen(shrink), pytest.raises(ValidationError):
        await harness.repository(Call).save(call)
    with pytest.raises(NotFound):
        await harness.repository(Call).get(call.ref_id)
