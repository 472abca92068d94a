"""What a Blob takes as content, and the file name and media type that it gets from a path."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO, Annotated, Any
from uuid import uuid4

import pytest

from storekit import (
    Blob,
    Entity,
    Expired,
    Mutable,
    Repository,
    UsageError,
    ValidationError,
    blob,
    document,
)
from storekit.testing import Memory, memory_store


class Upload(Entity, Mutable, table="uploads"):
    file: Annotated[Blob, blob()]
    text: Annotated[Blob | None, blob(media_type="text/plain")] = None


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def uploads(memory: Memory) -> Iterator[Repository[Upload]]:
    with memory_store(Upload, memory=memory) as store:
        yield store.scope(tenant=uuid4(), actor="test").repository(Upload)


BYTES: dict[str, Any] = {
    "bytearray": bytearray(b"abc"),
    "memoryview": memoryview(b"abc"),
    "a slice of a memoryview": memoryview(b"a.b.c")[::2],
    "an iterator of all three": [b"a", bytearray(b"b"), memoryview(b"c")],
}


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES)
def test_any_kind_of_bytes_is_content(uploads: Repository[Upload], content: Any) -> None:
    """bytes, bytearray and memoryview are stored as their bytes, also from an iterator."""
    saved = uploads.save(Upload(file=Blob(content)))
    assert uploads.read(saved.ref_id, "file") == b"abc"


def test_bytes_that_can_change_are_copied(uploads: Repository[Upload]) -> None:
    """A bytearray that is changed after the Blob was made does not change the content."""
    buffer = bytearray(b"abc")
    given = Blob(buffer)
    buffer[:] = b"xyz"
    assert uploads.read(uploads.save(Upload(file=given)).ref_id, "file") == b"abc"


def in_zip() -> IO[bytes]:
    with zipfile.ZipFile(archive := io.BytesIO(), "w") as made:
        made.writestr("a", b"abc")
    return zipfile.ZipFile(archive).open("a")


def written(file: Any) -> IO[bytes]:
    file.write(b"abc")
    return file  # type: ignore[no-any-return]


FILES: dict[str, Callable[[], IO[bytes]]] = {
    "in memory": lambda: written(io.BytesIO()),
    "temporary": lambda: written(tempfile.TemporaryFile()),  # noqa: SIM115 the test closes it
    "spooled": lambda: written(tempfile.SpooledTemporaryFile()),  # noqa: SIM115 the test closes it
    "in an archive": in_zip,
}


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_a_file_at_its_end_is_refused(uploads: Repository[Upload], make: Callable[[], IO[bytes]]) -> None:
    """A file that was written and not rewound is refused; a file is read from any other position."""
    with make() as file:
        file.seek(0, os.SEEK_END)
        with pytest.raises(ValidationError, match=r"Upload\.file: .*position 3.*seek\(0\)"):
            uploads.save(Upload(file=Blob(file)))
        file.seek(1)
        assert uploads.read(uploads.save(Upload(file=Blob(file))).ref_id, "file") == b"bc"
    empty = uploads.save(Upload(file=Blob(io.BytesIO())))
    assert uploads.read(empty.ref_id, "file") == b""


PATHS = {
    b"plain.pdf": "plain.pdf",
    b"line\nbreak\r.pdf": "line_break_.pdf",
    b'quote".pdf': 'quote".pdf',
    b"back\\slash.pdf": "back\\slash.pdf",
    b"latin-\xe9.pdf": "latin-_.pdf",
    "\u202efdp.exe".encode(): "_fdp.exe",
    "\u200fmark.pdf".encode(): "_mark.pdf",
    "Übersicht.pdf".encode(): "Übersicht.pdf",
    b"a" * 251 + b".pdf": "a" * 251 + ".pdf",
}


@pytest.mark.parametrize("name", PATHS)
def test_the_name_of_a_path_is_stored_in_a_form_for_headers(
    uploads: Repository[Upload], memory: Memory, tmp_path: Path, name: bytes
) -> None:
    """Whatever a file is called, its content is saved, and its name breaks no header and no directory."""
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    path.write_bytes(b"abc")
    saved = uploads.save(Upload(file=Blob(path)))
    assert saved.file.filename == PATHS[name]
    header = memory.fetch(uploads.url(saved.ref_id, "file")).disposition
    assert header.isascii()
    assert header.isprintable()
    assert not {"/", "\\"} & {*header}


def test_a_long_name_keeps_its_extension() -> None:
    """A name of more than 255 characters is cut before its extension."""
    assert Blob(Path("x" * 300 + ".docx")).filename == "x" * 250 + ".docx"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\\b", "/x"])
def test_a_download_is_never_named_as_a_path(uploads: Repository[Upload], memory: Memory, name: str) -> None:
    """Slashes of a given file name are replaced in the header of the download."""
    saved = uploads.save(Upload(file=Blob(b"x", filename=name)))
    header = memory.fetch(uploads.url(saved.ref_id, "file")).disposition
    assert not {"/", "\\"} & {*header}


def test_the_extension_gives_the_media_type(uploads: Repository[Upload], memory: Memory) -> None:
    """Without another type a file has that of its extension; Office files are not served as XML."""
    office = "application/vnd.openxmlformats-officedocument"
    for name, media_type in {
        "a.docx": f"{office}.wordprocessingml.document",
        "a.XLSX": f"{office}.spreadsheetml.sheet",
        "a.pptx": f"{office}.presentationml.presentation",
        "a.pdf": "application/pdf",
        "a.csv": "text/csv; charset=utf-8",
        "a.svg": "application/octet-stream",
        "a.unknown": "application/octet-stream",
    }.items():
        saved = uploads.save(Upload(file=Blob(b"x", filename=name)))
        assert memory.fetch(uploads.url(saved.ref_id, "file")).media_type == media_type
    saved = uploads.save(Upload(file=Blob(b"x", filename="a.pdf", media_type="image/png")))
    assert saved.file.media_type == "image/png"
    saved = uploads.save(Upload(file=Blob(b"x"), text=Blob("x", filename="a.pdf")))
    assert saved.text is not None
    assert saved.text.media_type == "text/plain"


def test_text_is_served_with_its_charset(uploads: Repository[Upload], memory: Memory) -> None:
    """Text is served as UTF-8, unless its media type names another charset."""
    for given, served in (
        (None, "text/plain; charset=utf-8"),
        ("text/csv; charset=latin-1", "text/csv; charset=latin-1"),
    ):
        saved = uploads.save(Upload(file=Blob(b"x"), text=Blob("é", media_type=given)))
        assert memory.fetch(uploads.url(saved.ref_id, "text", inline=True)).media_type == served


def test_a_ttl_ends_before_the_year_10000() -> None:
    """A time to live whose end no datetime can hold is refused when the class is defined."""
    with pytest.raises(UsageError, match=r"the ttl is 4,000,000 days; the limit is 365,000"):

        class Eternal(Entity, table="eternal"):
            log: Annotated[dict[str, Any] | Expired, document(collection="x", ttl=timedelta(days=4_000_000))]
