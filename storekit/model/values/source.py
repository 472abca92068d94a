"""Content of blobs that can be read several times: once to measure it, and once for each upload attempt."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from os import PathLike
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from storekit.errors import UsageError, ValidationError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1 << 20
"""Bytes per read: large enough that hashing dominates, small enough for many uploads at once."""
_SPOOL = 8 << 20
"""Bytes that a copy of an iterator may take in memory before it moves to disk."""
MAX_SIZE = 5 << 30
"""Bytes that S3 accepts in one PUT, which is atomic and verified against its x-amz-checksum-sha256."""

Content = str | bytes | bytearray | memoryview | PathLike[str] | IO[bytes] | Iterable[bytes]
Opener = Callable[[], BinaryIO]


class MeasuredSource:
    """Content whose size and SHA-256 are known, and which `open` can read again.

    If the content changes in between, the upload fails, because its size or hash no longer matches.
    """

    __slots__ = ("open", "sha256", "size")

    def __init__(self, opener: Opener) -> None:
        self.open = opener
        digest, self.size = hashlib.sha256(), 0
        with opener() as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                self.size = _counted(self.size, chunk)
        self.sha256 = digest.digest()


def seekable(content: Content) -> bool:
    """Return whether the content is a file object that can be read again.

    Raises:
        UsageError: the file was opened in text mode.
    """
    if not hasattr(content, "read"):
        return False
    if isinstance(content, io.TextIOBase):
        raise UsageError("a Blob needs a file that is opened in binary mode ('rb')")
    try:
        return bool(cast(IO[Any], content).seekable())
    except (AttributeError, OSError, ValueError):
        return False


def opener(content: Content, start: int) -> Opener:
    """Return a function that opens the content for reading; a file object is read from `start`.

    Each reader has its own position and does not move that of the file object, so that several threads can
    send the same content while its owner continues to read. The file object is never closed.
    """
    if isinstance(content, str | bytes):
        body = _utf8(content) if isinstance(content, str) else content
        return lambda: io.BytesIO(body)
    if isinstance(content, PathLike):
        path = content
        return lambda: open(path, "rb")
    inner = _unwrapped(content)
    if type(inner) is io.BytesIO:
        body = inner.getvalue()[start:]
        return lambda: io.BytesIO(body)
    if _on_disk(inner):
        inner.flush()  # data that the owner has written may still be in the buffer of the file object
        return lambda: cast(BinaryIO, _View(content, inner.fileno(), start))
    # only the read() of such an object returns the content (a member of an archive, for example): copy it
    file = cast(IO[bytes], content)
    position = file.tell()
    file.seek(start)
    spool = spooled(file)
    file.seek(position)
    return opener(spool, 0)


def spooled(content: Iterable[bytes]) -> IO[bytes]:
    """Copy the bytes of an iterator or file to a temporary file, on disk above 8 MiB."""
    read = getattr(content, "read", None)
    spool, size = cast(IO[bytes], _Spool(_SPOOL)), 0
    for chunk in iter(lambda: read(CHUNK), b"") if read else content:
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise ValidationError(f"an iterator of content must yield bytes, not {type(chunk).__name__}")
        size = _counted(size, chunk)  # before it is written: a source without an end must not fill the disk
        spool.write(chunk)
    return spool


def _counted(size: int, chunk: bytes | bytearray | memoryview) -> int:
    """Add the size of a chunk.

    Raises:
        ValidationError: the content is too large.
    """
    size += memoryview(chunk).nbytes
    if size > MAX_SIZE:
        raise ValidationError(f"the blob has more than {MAX_SIZE} bytes, the limit")
    return size


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValidationError("the text contains a lone surrogate, which UTF-8 cannot encode") from error


class _Spool(tempfile.SpooledTemporaryFile[bytes]):
    """A temporary file that is closed when the last reader has released it."""

    def __del__(self) -> None:
        self.close()


class _View(io.RawIOBase):
    """Reads an open file with `pread`, which does not use the position of the file."""

    def __init__(self, owner: object, descriptor: int, start: int) -> None:
        super().__init__()
        self._owner = owner  # a temporary file is deleted when its object is, so keep a reference
        self._position = start
        # a duplicate: if the owner closes the file, the kernel may give its number to another file, and this
        # reader would send that file's bytes
        self._descriptor = os.dup(descriptor)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = os.preadv(self._descriptor, [buffer], self._position)
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._descriptor)


def _unwrapped(file: Any) -> Any:
    """Return the file inside the wrapper of a temporary file."""
    if isinstance(file, tempfile.SpooledTemporaryFile):
        return file._file
    return file.file if isinstance(file, tempfile._TemporaryFileWrapper) else file


def _on_disk(file: Any) -> bool:
    """Return whether reading the file's descriptor gives the bytes that its `read` gives.

    Exact types only: a subclass may decode what it reads, and a pipe or socket cannot be read at a position.
    """
    raw = file.raw if isinstance(file, io.BufferedReader | io.BufferedRandom) else file
    return type(raw) is io.FileIO and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
