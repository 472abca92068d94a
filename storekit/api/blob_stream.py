"""The stream of a blob in the asynchronous API. The synchronous API uses the stream of the S3 driver."""

from __future__ import annotations

from collections.abc import AsyncIterator

from storekit.model.values.source import CHUNK
from storekit.ports.stores import BlobStream, Runtime


class AsyncBlobStream:
    """Read the bytes of a blob as they arrive from S3.

    `repository.open(ref_id, field)` returns it. The bytes are read in a thread, so the event loop is
    never blocked. The last bytes are returned only after the SHA-256 of the whole blob has been
    checked. Only one task at a time may read it.

    Example:
        >>> async with articles.open(article.ref_id, "body") as stream:
        ...     sizes = [len(chunk) async for chunk in stream]
        >>> sizes
        [5]
    """

    def __init__(self, runtime: Runtime, stream: BlobStream) -> None:
        self._runtime, self._stream = runtime, stream

    async def read(self, size: int = -1) -> bytes:
        """Read the next bytes.

        Cost: no trip; the bytes arrive on the connection that `open` holds.

        Args:
            size: the maximum number of bytes. Default: all remaining bytes.

        Returns:
            The bytes; empty at the end of the blob.

        Raises:
            Corrupt: the bytes differ from those that were saved. Do not retry.
            Unavailable: the connection broke. Retryable: open the blob again.
            UsageError: the stream is closed.

        Example:
            >>> async with articles.open(article.ref_id, "body") as stream:
            ...     first, rest = await stream.read(2), await stream.read()
            >>> (first, rest)
            (b'# ', b'Sun')
        """
        return await self._runtime.blocking(lambda: self._stream.read(size))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self.read(CHUNK):
            yield chunk
