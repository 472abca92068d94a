"""What a flow may await: four small ports. Drivers implement them, assembly joins them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Protocol, TypeVar
from uuid import UUID

from storekit.errors import Unavailable
from storekit.ports.statements import Call, Statement

T = TypeVar("T")
Row = dict[str, Any]
_WORTH_A_THREAD = 16 * 1024
"""Bytes of documents, which take 0.1 to 3 ms; a hop to a thread takes 0.06 ms."""


class RolledBack(Unavailable):
    """Postgres undid the whole transaction to end a deadlock or a race: it can be repeated at once."""


class AnswerLost(Exception):
    """A statement was sent to Postgres and the link broke before its answer: nobody knows its outcome."""


class Ledger(Protocol):
    """Postgres."""

    async def pipeline(self, tenant: UUID, actor: str, statements: Sequence[Statement]) -> list[Any]:
        """Send all statements in one trip and one implicit transaction.

        A call answers a dict, a count a number, a locate a `BlobRef` or None (an empty field) by ref_id, all
        others a list of rows; what is not there is absent.

        Raises:
            Unavailable: nothing was sent, or the server said no before commit; safe to repeat.
            AnswerLost: sent, and no answer came: the transaction may or may not have committed.
        """
        ...

    def session(self, tenant: UUID, actor: str, within: Any = None) -> Session:
        """Prepare an explicit transaction: on a connection of its own, or as a part of the caller's.

        Raises:
            UsageError: `within` is no connection of this colour with a transaction that could be joined.
        """
        ...

    async def close(self) -> None: ...


class Session(Protocol):
    """One explicit transaction, in which the user's own SQL can run."""

    @property
    def connection(self) -> Any:
        """The client's own connection, for the user's SQL; there is one after `begin`."""
        ...

    async def begin(self, calls: Sequence[Call]) -> list[Any]:
        """Begin, and make some calls of the write API in the same trip."""
        ...

    async def pipeline(self, calls: Sequence[Call]) -> list[Any]:
        """Make some calls in one trip; after an error it is as if they had not been made."""
        ...

    async def ask(self, tenant: UUID, statements: Sequence[Statement]) -> list[Any]:
        """Read in one trip what this transaction sees."""
        ...

    async def commit(self, writes: Sequence[UUID] = ()) -> None:
        """Commit, or leave that to the transaction that was joined. One trip.

        Args:
            writes: those that the user's own SQL could have undone, by a savepoint of his.

        Raises:
            UsageError: the transaction was ended or spoilt by the user's own SQL; nothing was committed.
            AnswerLost: nobody knows whether it was committed.
        """
        ...

    async def rollback(self) -> None:
        """Undo all of it; never raises, and does nothing if it has ended."""
        ...


@dataclass(frozen=True, slots=True)
class DocumentPut:
    """One immutable document, ready for the wire."""

    collection: str
    document: Mapping[str, Any]
    write_id: UUID
    size: int
    """Of its body as BSON, in bytes."""


class Documents(Protocol):
    """MongoDB."""

    async def insert(self, puts: Sequence[DocumentPut]) -> None:
        """Insert documents of one collection, journalled by a majority; repeating an insert is harmless.

        Raises:
            WriteLost: a sweep has left its tombstone under one of the ids.
        """
        ...

    async def fetch(
        self, collection: str, tenant: UUID, ids: Sequence[UUID]
    ) -> dict[UUID, Mapping[str, Any]]:
        """Read documents by id from the primary; an id without document is absent."""
        ...

    async def close(self) -> None: ...


class Source(Protocol):
    """Content that can be read from its beginning, twice: once to measure it, once to send it."""

    size: int
    sha256: bytes

    def open(self) -> BinaryIO: ...


@dataclass(frozen=True, slots=True)
class BlobPut:
    """One upload: signed for exactly this key, length and hash, refused by S3 after `until`."""

    key: str
    source: Source
    media_type: str
    granted_on: datetime
    until: datetime
    write_id: UUID


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Where the bytes of a committed part are."""

    key: str
    version_id: str
    size: int
    sha256: bytes
    media_type: str
    filename: str | None = None


class BlobStream(Protocol):
    """Read the bytes of a blob as they arrive from S3.

    `repository.open(ref_id, field)` gives it. The last bytes are returned only after the SHA-256 of the
    whole blob was checked. Used by one thread at a time.

    Example:
        >>> with articles.open(article.ref_id, "body") as stream:
        ...     sizes = [len(chunk) for chunk in stream]
        >>> sizes
        [5]
    """

    def read(self, size: int = -1, /) -> bytes:
        """Read the next bytes.

        Cost: no trip; the bytes come on the connection that `open` holds.

        Args:
            size: the maximum number of bytes. Default: all that are left.

        Returns:
            The bytes; empty at the end of the blob.

        Raises:
            Corrupt: the bytes are not the bytes that were saved. Never retry.
            Unavailable: the connection broke. Retryable: open the blob again.
            UsageError: the stream is closed.

        Example:
            >>> with articles.open(article.ref_id, "body") as stream:
            ...     first, rest = stream.read(2), stream.read()
            >>> (first, rest)
            (b'# ', b'Sun')
        """
        ...

    def close(self) -> None:
        """Release the connection. The end of the `with` block calls it.

        Cost: no trip.

        Example:
            >>> with articles.open(article.ref_id, "body") as stream:
            ...     stream.close()
        """
        ...

    def __iter__(self) -> Iterator[bytes]: ...


class Blobs(Protocol):
    """S3."""

    async def put(self, put: BlobPut) -> str:
        """Upload and answer the VersionId; a repeat after a lost answer finds its own bytes."""
        ...

    async def get(self, ref: BlobRef) -> BlobStream: ...

    def sign(self, ref: BlobRef, expires_in: int, disposition: str, content_type: str | None) -> str:
        """Sign a GET of exactly this version; no I/O, no trip."""
        ...

    async def close(self) -> None: ...


class Runtime(Protocol):
    """What differs between threads and tasks."""

    async def wave(
        self,
        puts: Sequence[Callable[[], Awaitable[T]]],
        beat: Callable[[], Awaitable[None]],
        every: timedelta,
        told: Callable[[T], None] = lambda _: None,
    ) -> list[T]:
        """Run all puts at once, `beat` from time to time. All finish before the first error rises.

        `told` hears of each put that is done, in the caller's own thread.
        """
        ...

    async def blocking(self, work: Callable[[], T]) -> T:
        """Run a piece of blocking work (disk, a synchronous client) without holding up the event loop."""
        ...

    async def sleep(self, delay: timedelta) -> None: ...

    async def close(self) -> None: ...


async def aside(runtime: Runtime, size: int, work: Callable[[], T]) -> T:
    """Work on documents of `size` bytes in all: large ones do not hold up the event loop."""
    return work() if size < _WORTH_A_THREAD else await runtime.blocking(work)
