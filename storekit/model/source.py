"""Where a blob's bytes come from, readable from the start any number of times."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterable
from os import PathLike
from typing import IO, Any, BinaryIO, cast

from storekit.errors import UsageError, ValidationError

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
    """Tell how to open content that can be read twice; a file object from `start`, never closed."""
    if isinstance(content, str | bytes):
        body = _utf8(content) if isinstance(content, str) else content
        return lambda: io.BytesIO(body)
    if isinstance(content, PathLike):
        path = content
        return lambda: open(path, "rb")
    file = cast(IO[bytes], content)
    return lambda: cast(BinaryIO, _Borrowed(file, start))


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


class _Borrowed:
    """A view of the user's file: reading starts afresh, closing is the user's."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        file.seek(start)
        self.read = file.read

    def __enter__(self) -> _Borrowed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the file to its owner."""
