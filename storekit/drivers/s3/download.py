"""The bytes of one blob on their way in, believed only when length and SHA-256 are right."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from storekit.drivers.s3.connections import Answer, Lost
from storekit.errors import Corrupt, Unavailable, UsageError
from storekit.ports.stores import BlobRef

CHUNK = 256 << 10


class Download:
    """A `BlobStream` over one answer. The last bytes are handed out only when the whole is right."""

    def __init__(self, ref: BlobRef, answer: Answer) -> None:
        self._ref = ref
        self._left = ref.size
        self._digest = sha256()
        self._answer: Answer | None = answer
        self._verified = False

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes, or all that are left.

        Raises:
            Corrupt: the bytes are not those that were saved.
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
        """Let go of the connection; it is used again only if the blob was read to its end."""
        answer, self._answer = self._answer, None
        if answer:
            answer.close()

    def __del__(self) -> None:
        # A task that was cancelled while its blob was being opened never hears of the stream.
        self.close()

    def _receive(self, size: int) -> bytes:
        if not self._answer:
            raise UsageError("the stream of this blob is closed; open it again")
        try:
            chunk = self._answer.read(size)
        except Lost as error:
            raise self._broken() from error
        if size and not chunk:
            raise self._broken()
        return chunk

    def _broken(self) -> Unavailable:
        done = self._ref.size - self._left
        return Unavailable("s3", f"its answer broke off after {done} of {self._ref.size} bytes")

    def _verify(self) -> None:
        self.close()
        found = self._digest.digest()
        if found != self._ref.sha256:
            raise Corrupt(self._ref.key, f"sha256 {self._ref.sha256.hex()}", f"sha256 {found.hex()}")
        self._verified = True
