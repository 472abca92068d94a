"""Read the bytes of one blob, and verify their length and SHA-256."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from storekit.drivers.s3.connections import ConnectionLost, Response
from storekit.errors import Corrupt, Unavailable, UsageError
from storekit.ports.stores import BlobRef

CHUNK = 256 << 10


class Download:
    """A `BlobStream` over one response.

    The last chunk is returned only after the hash of the whole content was verified, so a caller that reads
    to the end never gets corrupt content without an error.
    """

    def __init__(self, ref: BlobRef, response: Response) -> None:
        self._ref = ref
        self._left = ref.size
        self._digest = sha256()
        self._response: Response | None = response
        self._verified = False

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; by default all that are left.

        Raises:
            Corrupt: the content differs from what was saved.
            Unavailable: the connection broke; open the blob again.
        """
        if size < 0:
            return b"".join(self)
        if self._verified:
            return b""
        chunk = self._receive(min(size, self._left))
        self._digest.update(chunk)
        self._left -= len(chunk)
        if not self._left:
            self._verify()
        return chunk

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(CHUNK):
            yield chunk

    def close(self) -> None:
        """Release the connection. It is reused only if the blob was read to its end."""
        response, self._response = self._response, None
        if response:
            response.close()

    def __del__(self) -> None:
        # A task that is cancelled while a thread opens its blob never receives the stream, so it cannot close
        # it.
        self.close()

    def _receive(self, size: int) -> bytes:
        if not self._response:
            raise UsageError("the stream of this blob is closed; open the blob again")
        try:
            chunk = self._response.read(size)
        except ConnectionLost as error:
            raise self._interrupted() from error
        if size and not chunk:
            raise self._interrupted()
        return chunk

    def _interrupted(self) -> Unavailable:
        done = self._ref.size - self._left
        return Unavailable("s3", f"its response broke off after {done} of {self._ref.size} bytes")

    def _verify(self) -> None:
        self.close()
        found = self._digest.digest()
        if found != self._ref.sha256:
            raise Corrupt(self._ref.key, f"sha256 {self._ref.sha256.hex()}", f"sha256 {found.hex()}")
        self._verified = True
