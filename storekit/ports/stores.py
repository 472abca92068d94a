"""The four ports that a flow may await. Drivers implement them; assembly builds the drivers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Protocol, TypeVar
from uuid import UUID

from storekit.errors import Unavailable
from storekit.ports.statements import Call, Origin, Statement

T = TypeVar("T")
Row = dict[str, Any]
_WORTH_A_THREAD = 16 * 1024
"""Bytes of documents whose work takes 0.1 ms or more; a hop to a thread takes 0.06 ms."""


UNDECODED = "undecoded:"
"""Key of a row: the names of the columns whose value is given as text, because Python's type cannot hold it.
Key of a document: why Python cannot hold it.

The key is absent if there are none. A column's name cannot contain a colon.
"""


class RolledBack(Unavailable):
    """Postgres rolled back the transaction because of a deadlock or a race; it can be repeated at once."""


class AnswerLost(Exception):
    """The connection broke after a statement was sent to Postgres, before its reply: outcome unknown."""

    why = "the connection broke"
    """What happened, for the caller; the text of the error itself may name the server."""


class Ledger(Protocol):
    """The port to Postgres: the ledger and the records."""

    async def pipeline(self, tenant: UUID, actor: str, statements: Sequence[Statement]) -> list[Any]:
        """Send all statements in one trip and one implicit transaction.

        A call returns a dict, a count a number, a locate a dict of ref_id to `BlobRef` or None (an empty
        field), any other statement a list of rows with parts as `StoredPart`. Records that do not exist are
        absent.

        Raises:
            Unavailable: nothing was sent, or the server refused before the commit; safe to repeat.
            AnswerLost: it was sent and no reply came: the transaction may or may not have committed.
        """
        ...

    def session(self, tenant: UUID, origin: Origin, within: Any = None) -> Session:
        """Prepare an explicit transaction: on a connection of its own, or as part of the caller's. No I/O.

        Raises:
            UsageError: `within` is not a connection of this API (sync or async) that is in a transaction.
        """
        ...

    async def close(self) -> None: ...


class Session(Protocol):
    """One explicit transaction, in which the user's own SQL can run."""

    @property
    def connection(self) -> Any:
        """The client's own connection, for the user's SQL, from `begin` on."""
        ...

    async def begin(self, calls: Sequence[Call]) -> list[Any]:
        """Begin, and send some calls of the write API in the same trip."""
        ...

    async def pipeline(self, calls: Sequence[Call]) -> list[Any]:
        """Send some calls in one trip. After an error those calls are undone, and nothing else."""
        ...

    async def ask(self, tenant: UUID, statements: Sequence[Statement]) -> list[Any]:
        """Read as this transaction sees the database. One trip."""
        ...

    async def commit(self, writes: Sequence[UUID] = ()) -> None:
        """Commit, or leave that to the transaction that was joined. One trip.

        Args:
            writes: those that must still be there; the user's own SQL may have undone some by a savepoint.

        Raises:
            UsageError: the user's own SQL ended or aborted the transaction; nothing was committed.
            AnswerLost: it may or may not have been committed.
        """
        ...

    async def rollback(self) -> None:
        """Roll back, if the transaction has not ended. A broken connection raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class DocumentPut:
    """One immutable document, ready for the wire."""

    collection: str
    document: Mapping[str, Any]
    write_id: UUID
    size: int
    """Bytes of its body as BSON."""


class Documents(Protocol):
    """The port to MongoDB: the documents."""

    async def insert(self, puts: Sequence[DocumentPut]) -> None:
        """Insert documents of one collection, journalled by a majority. Repeating an insert is harmless.

        Raises:
            WriteLost: a sweep has put a tombstone under one of the ids.
        """
        ...

    async def fetch(
        self, collection: str, tenant: UUID, ids: Sequence[UUID]
    ) -> dict[UUID, Mapping[str, Any]]:
        """Read documents by id from the primary; ids without a document are absent.

        A document that Python cannot hold has only its id and, under `UNDECODED`, the reason.
        """
        ...

    async def close(self) -> None: ...


class Source(Protocol):
    """Content that can be read twice from its beginning: once to measure it, once to send it."""

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
    received_on: datetime
    """When `granted_on` arrived, by the clock of this machine; `granted_on` is by the clock of Postgres."""


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Where the bytes of a committed blob are."""

    key: str
    version_id: str
    size: int
    sha256: bytes
    media_type: str
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class StoredPart:
    """What the ledger knows about a committed part."""

    part_id: UUID
    key: str
    version_id: str | None
    size: int
    sha256: str
    media_type: str | None
    filename: str | None
    expires_on: datetime | None
    expired: bool
    state: str = "committed"
    write_id: UUID | None = None


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
            Corrupt: the bytes differ from those that were saved. Do not retry.
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
    """The port to S3: the blobs."""

    async def put(self, put: BlobPut) -> str:
        """Upload and return the VersionId; repeating an upload whose reply was lost finds its own bytes."""
        ...

    async def get(self, ref: BlobRef) -> BlobStream: ...

    def sign(self, ref: BlobRef, expires_in: int, disposition: str, content_type: str | None) -> str:
        """Sign a GET of exactly this version; no I/O, no trip."""
        ...

    async def close(self) -> None: ...


Job = Callable[[Callable[[timedelta], Awaitable[None]], Callable[[], bool]], Coroutine[Any, Any, None]]
"""Work that pauses by its first argument, and ends soon after its second one returns True."""


class Background(Protocol):
    """Work that goes on beside the caller."""

    def wake(self) -> None:
        """End its present pause, or the next one."""

    async def stop(self) -> None:
        """Stop it, and wait for the end of what it is doing."""


class Runtime(Protocol):
    """How puts, blocking work and sleep run: in threads for the sync API, in tasks for the async one."""

    async def wave(
        self,
        puts: Sequence[Callable[[], Awaitable[T]]],
        renew: Callable[[], Awaitable[None]],
        every: timedelta,
        on_done: Callable[[T], None] = lambda _: None,
    ) -> list[T]:
        """Run all puts at once, and await `renew` each time that `every` has passed.

        All puts have ended before the first error is raised, so that no thread still reads the caller's file.
        `on_done` is called with the result of each put when it is done, in the caller's own thread.
        """
        ...

    async def blocking(self, work: Callable[[], T]) -> T:
        """Run blocking work (disk, a synchronous client) without holding up the event loop."""
        ...

    async def sleep(self, delay: timedelta) -> None: ...

    def background(self, job: Job) -> Background:
        """Begin to work beside the caller, until it is stopped."""
        ...

    async def close(self) -> None: ...


async def aside(runtime: Runtime, size: int, work: Callable[[], T]) -> T:
    """Run work on documents of `size` bytes in all; large ones do not hold up the event loop."""
    return work() if size < _WORTH_A_THREAD else await runtime.blocking(work)
