"""Where a blob's bytes come from, readable from the start any number of times."""

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
_SPOOL = 8 << 20
MAX_SIZE = 5 << 30
"""The most bytes that S3 takes in one PUT."""

Content = str | bytes | PathLike[str] | IO[bytes] | Iterable[bytes]
Opener = Callable[[], BinaryIO]


class MeasuredSource:
    """Content that was read once for its size and SHA-256, and can be read again to be sent."""

    __slots__ = ("open", "sha256", "size")

    def __init__(self, opener: Opener) -> None:
        self.open = opener
        digest, self.size = hashlib.sha256(), 0
        with opener() as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                self.size += len(chunk)
        self.sha256 = digest.digest()
        if self.size > MAX_SIZE:
            raise ValidationError(f"{self.size} bytes are over the limit of {MAX_SIZE} for one blob")


def seekable(content: Content) -> bool:
    """Whether the content is a file object that can be read twice."""
    if not hasattr(content, "read"):
        return False
    if isinstance(content, io.TextIOBase):
        raise UsageError("a Blob takes a file opened in binary mode ('rb')")
    try:
        return bool(cast(IO[Any], content).seekable())
    except (AttributeError, OSError, ValueError):
        return False


def opener(content: Content, start: int) -> Opener:
    """Tell how to open content that can be read twice; a file object from `start`, never closed.

    Every reader has a position of its own, and the file object keeps its: the same content may be sent by
    several threads, for several fields, while its owner reads on.
    """
    if isinstance(content, str | bytes):
        body = _utf8(content) if isinstance(content, str) else content
        return lambda: io.BytesIO(body)
    if isinstance(content, PathLike):
        path = content
        return lambda: open(path, "rb")
    inner = _unwrapped(content)
    if type(inner) is io.BytesIO:
        rest = inner.getvalue()[start:]
        return lambda: io.BytesIO(rest)
    if _on_disk(inner):
        inner.flush()
        return lambda: cast(BinaryIO, _View(content, inner.fileno(), start))
    # a file object that only its own read() understands: a member of an archive, a decompressor
    file = cast(IO[bytes], content)
    left_at = file.tell()
    file.seek(start)
    spool = spooled(file)
    file.seek(left_at)
    return opener(spool, 0)


def spooled(content: Iterable[bytes]) -> IO[bytes]:
    """Take an iterator's bytes down (on disk above 8 MiB), so that they can be sent again."""
    read = getattr(content, "read", None)
    spool = cast(IO[bytes], _Spool(_SPOOL))
    for chunk in iter(lambda: read(CHUNK), b"") if read else content:
        if not isinstance(chunk, bytes):
            raise ValidationError(f"a content iterator yields bytes, not {type(chunk).__name__}")
        spool.write(chunk)
    return spool


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValidationError("its text holds a lone surrogate, which UTF-8 cannot carry") from error


class _Spool(tempfile.SpooledTemporaryFile[bytes]):
    """A temporary file that lives as long as somebody may send it."""

    def __del__(self) -> None:
        self.close()


class _View(io.RawIOBase):
    """A reader of an open file that leaves the file's own position alone."""

    def __init__(self, owner: object, descriptor: int, start: int) -> None:
        super().__init__()
        self._owner = owner  # a temporary file lives as long as its object
        self._position = start
        # a copy: if the owner closes the file, its number may soon be another file's
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
    """Find what a temporary file's wrapper holds."""
    if isinstance(file, tempfile.SpooledTemporaryFile):
        return file._file
    return file.file if isinstance(file, tempfile._TemporaryFileWrapper) else file


def _on_disk(file: Any) -> bool:
    """Tell whether the bytes of its descriptor are the bytes that it reads."""
    raw = file.raw if isinstance(file, io.BufferedReader | io.BufferedRandom) else file
    return type(raw) is io.FileIO and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
