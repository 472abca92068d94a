"""Content that is read more than once, or concurrently."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast
from uuid import uuid4

import pytest

from storekit import Blob, NotFound, UsageError, ValidationError, trace
from storekit.model.values.source import CHUNK
from storekit.testing import memory_store
from tests.support.entities import Note

_BODY = b"".join(i.to_bytes(4, "big") for i in range(2 * CHUNK // 4 + 7))


def _on_disk(directory: Path) -> IO[bytes]:
    (directory / "plain").write_bytes(_BODY)
    return (directory / "plain").open("rb")


def _named(directory: Path) -> IO[bytes]:
    file = tempfile.NamedTemporaryFile(dir=directory)  # noqa: SIM115  the test closes it
    file.write(_BODY)
    file.seek(0)
    return cast(IO[bytes], file)


def _rolled(directory: Path) -> IO[bytes]:
    file = tempfile.SpooledTemporaryFile(max_size=16, dir=str(directory))  # noqa: SIM115  the test closes it
    file.write(_BODY)
    file.seek(0)
    return cast(IO[bytes], file)


def _compressed(directory: Path) -> IO[bytes]:
    (directory / "packed").write_bytes(gzip.compress(_BODY, 1))
    return cast(IO[bytes], gzip.open(directory / "packed"))


def _in_memory(_: Path) -> IO[bytes]:
    return io.BytesIO(_BODY)


@pytest.mark.parametrize("make", [_on_disk, _named, _rolled, _compressed, _in_memory])
def test_a_file_may_be_used_in_several_fields(make: Any, tmp_path: Path) -> None:
    """Parallel uploads of one file object each send all of its bytes, and the file is not closed."""
    with make(tmp_path) as file:
        sources = [Blob(file).measure("x") for _ in range(4)]
        assert {source.size for source in sources} == {len(_BODY)}
        readers = [source.open() for source in sources]
        taken = [b"" for _ in readers]
        for _ in range(4):  # read alternately, chunk by chunk, as parallel uploads do
            taken = [body + reader.read(CHUNK) for body, reader in zip(taken, readers, strict=True)]
        assert all(body == _BODY for body in taken)
        for reader in readers:
            reader.close()
        assert not file.closed


def test_a_blob_of_an_iterator_may_be_used_in_several_fields() -> None:
    """Each upload sends all bytes of the iterator."""
    for chunks in ([b"ab", b"cd"], [b"x" * CHUNK] * 9):
        blob = Blob(iter(chunks))
        sources = [blob.measure("x"), blob.measure("y")]
        with sources[0].open() as one, sources[1].open() as other:
            begun = [one.read(3), other.read(3)]
            assert [begun[0] + one.read(), begun[1] + other.read()] == [b"".join(chunks)] * 2


def test_a_file_is_read_from_its_position_and_keeps_it(tmp_path: Path) -> None:
    """The bytes before the position of the file are not sent, and the position does not change."""
    with _on_disk(tmp_path) as file:
        file.seek(5)
        source = Blob(file).measure("x")
        with source.open() as opened:
            assert opened.read() == _BODY[5:]
        assert file.tell() == 5


def test_unflushed_bytes_of_a_file_are_sent(tmp_path: Path) -> None:
    """The buffer of a file that is open for writing is part of its content."""
    with (tmp_path / "fresh").open("w+b") as file:
        blob = Blob(file)
        file.write(b"just written")
        assert blob.measure("x").size == len(b"just written")


def test_a_file_may_be_closed_after_the_blob_was_created(tmp_path: Path) -> None:
    """An upload never reads another file that got the descriptor of a closed one."""
    file = _on_disk(tmp_path)
    reader = Blob(file).measure("x").open()
    file.close()
    (tmp_path / "other").write_bytes(b"a stranger's")
    with (tmp_path / "other").open("rb"), reader:
        assert reader.read() == _BODY


def test_an_iterator_that_failed_cannot_be_saved_again() -> None:
    """A second save does not send the rest of a failed iterator as its content."""

    def broken() -> Iterator[bytes]:
        yield b"first half"
        raise OSError("the link broke")

    blob = Blob(broken())
    with pytest.raises(ValidationError, match="the link broke"):
        blob.measure("Note.content")
    with pytest.raises(
        ValidationError, match="the iterator was consumed by an earlier save; pass new content"
    ) as caught:
        blob.measure("Note.content")
    assert caught.value.field == "content"


@pytest.mark.parametrize("wrong", [{"media_type": 7}, {"filename": b"x.pdf"}])
def test_media_type_and_filename_must_be_str(wrong: dict[str, Any]) -> None:
    """A media_type or filename of another type raises UsageError when the Blob is created."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Blob(b"", **wrong)


@pytest.mark.parametrize("kind", ["path", "file"])
def test_a_file_that_shrinks_before_the_upload_is_refused(kind: str, tmp_path: Path) -> None:
    """Content that changes between hashing and upload raises ValidationError; nothing becomes visible."""
    path = tmp_path / "shrinking"
    path.write_bytes(b"content")

    def shrink(step: str, phase: str) -> None:
        if (step, phase) == ("s3.put", "started"):
            os.truncate(path, 2)

    with memory_store(Note) as store, path.open("rb") as file, trace.listen(shrink):
        notes = store.scope(tenant=uuid4(), actor="test").repository(Note)
        note = Note(title="t", content=Blob(path if kind == "path" else file))
        with pytest.raises(ValidationError, match="changed"):
            notes.save(note)
        with pytest.raises(NotFound):
            notes.get(note.ref_id)
