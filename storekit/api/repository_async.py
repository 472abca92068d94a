"""The asynchronous repository: read and write the records of one class."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Generic, TypeVar

from storekit.api.blob_stream import AsyncBlobStream
from storekit.flows.context import Context
from storekit.flows.read.blobs import open_blob, read
from storekit.flows.read.explain import explain
from storekit.flows.read.find import Query, count, find
from storekit.flows.read.history import LONGEST, history
from storekit.flows.read.load import get
from storekit.flows.read.url import url, urls
from storekit.flows.write.bulk import delete_many, insert_ignore, save_many, upsert
from storekit.flows.write.claim import claim
from storekit.flows.write.remove import delete, restore
from storekit.flows.write.save import save
from storekit.flows.write.transition import transition
from storekit.flows.write.update import update, update_many
from storekit.flows.write.upload import Progress
from storekit.model.declare.entity import Entity, require_table
from storekit.model.find.page import Page
from storekit.model.values.event import Event

E = TypeVar("E", bound=Entity)


class AsyncRepository(Generic[E]):
    """Read and write the records of one class, for one tenant and as one actor.

    `scope.repository(Article)` returns it without I/O. It is safe to share between tasks.

    Reads see only whole commits. Writes are all or nothing. Global records (of a class with
    `scope="global"`) can be read in every scope, but written only in the scope of
    `store.admin(actor=...)`; other scopes raise `UsageError`. Every method may also raise
    `ConfigurationError` if a setting is missing, or if a server or the schema is not set up as
    required; the message states the remedy.

    Example:
        The examples below use this `Article`, `articles` and `article`:

        >>> class Status(StrEnum):
        ...     DRAFT = "draft"
        ...     PUBLISHED = "published"
        >>> class Article(
        ...     Entity, Mutable, SoftDelete, table="articles", natural_key=["slug"],
        ...     indexes=[index("-words"), index("status", "created_on")],
        ... ):
        ...     slug: str
        ...     words: int = 0
        ...     status: Annotated[Status, moves({Status.DRAFT: [Status.PUBLISHED]})] = Status.DRAFT
        ...     notes: Annotated[dict[str, Any] | None, document(collection="article_notes")] = None
        ...     body: Annotated[Blob | None, blob(media_type="text/markdown")] = None
        >>> articles = acme.repository(Article)
        >>> article = Article(slug="summer", words=2, notes={"source": "wire"}, body=Blob("# Sun"))
        >>> article = await articles.save(article)
        >>> article.version
        1
    """

    def __init__(self, context: Context, entity: type[E]) -> None:
        self._entity, self._table = entity, require_table(entity)
        self._context = context.acting_on(self._table)

    async def get(self, ref_id: str, *, load: Sequence[str] = ()) -> E:
        """Read one record.

        Columns and blob metadata (size, SHA-256, media type) are always read. A document is read only
        if `load` names it; accessing a document that is not loaded raises `NotLoaded`.

        Cost: one Postgres trip, and one MongoDB trip for each collection in `load`.

        Args:
            ref_id: the record's ULID (26 characters).
            load: names of the document fields to read too, for example `["notes"]`. Default: none.

        Returns:
            The record. A document whose time to live has passed is an `Expired` value.

        Raises:
            NotFound: the tenant has no such record, or it is deleted.
            ValidationError: `ref_id` is not a ULID; nothing was sent.
            UsageError: `load` is not a list of document fields of this class; nothing was sent.
            Corrupt: a document is missing before its expiry, or differs from what was saved. Do not
                retry.
            Unavailable: a server could not be reached. Retryable: call again.

        Example:
            >>> found = await articles.get(article.ref_id, load=["notes"])
            >>> found.notes
            {'source': 'wire'}
        """
        return await get(self._context, self._entity, ref_id, load)

    async def find(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        limit: int = 50,
        after: str | None = None,
        load: Sequence[str] = (),
        deleted: bool = False,
        unindexed: bool = False,
    ) -> Page[E]:
        """Find records by their columns, one page at a time.

        The next page continues after the last record of this one. No record appears twice or is left
        out because other records are saved, changed or deleted between two pages.

        Cost: one Postgres trip, and one MongoDB trip for each collection in `load`, all of them in
        parallel. Postgres reads the index from the start of the page until the page is full, including
        records that do not match the other filters.

        Args:
            where: maps a column to a value, to None, or to a filter (`in_`, `between`, `lt`, `le`,
                `gt`, `ge`, `is_null`, `prefix`, `contains`, `json_path`, `has_key`). Values are converted
                as by the constructor: `"3"` finds the int 3. For a reference column `run_id`, the key
                `"run.ref_id"` compares the ref_id of the record that it points to. Default: all records.
            order_by: a column, `"-column"` for descending order, or a list of them. The class must
                declare an index with these columns, preceded only by columns that `where` compares with
                a single value. Default: the order of the index that fits `where` best, or newest first
                if none fits.
            limit: the maximum number of records on the page, from 1 to 1000. Default: 50.
            after: the `.next` of the previous page of the same query. Default: the first page.
            load: names of the document fields to read too. Default: none.
            deleted: also find soft-deleted records, of a class with `SoftDelete`. Default: False.
            unindexed: allow an order without an index; all matching records are then read and sorted.
                Default: False.

        Returns:
            The page. Its `.next` is None on the last page. A value that the class cannot hold raises
            `Unreadable` when its field is read, and a document that is missing or damaged raises `Corrupt`.

        Raises:
            ValidationError: a column is unknown, a value does not fit its column, or `after` belongs to
                another query; nothing was sent.
            UsageError: no index gives this order (the message says which index to declare), `limit` is
                out of range, or `deleted` is set for a class without `SoftDelete`; nothing was sent.
            Unavailable: a server could not be reached. Retryable: call again.

        Example:
            >>> page = await articles.find({"status": "draft", "words": lt(100)}, order_by="-words", limit=20)
            >>> [(found.slug, found.words) for found in page]
            [('summer', 2)]
            >>> page.next is None
            True
        """
        query = Query(where, deleted, order_by, limit, after, load, unindexed)
        return await find(self._context, self._entity, query)

    async def count(self, where: Mapping[str, Any] | None = None, *, deleted: bool = False) -> int:
        """Count the records that `find` would find on all pages.

        Cost: one Postgres trip, which reads every record that it counts.

        Args:
            where: the same filters as for `find`. Default: all records.
            deleted: also count soft-deleted records, of a class with `SoftDelete`. Default: False.

        Returns:
            The number of records.

        Raises:
            ValidationError: a column is unknown, or a value does not fit its column; nothing was sent.
            UsageError: `deleted` is set for a class without `SoftDelete`; nothing was sent.
            Unavailable: Postgres could not be reached. Retryable: call again.

        Example:
            >>> await articles.count({"slug": prefix("sum")})
            1
        """
        return await count(self._context, self._entity, Query(where, deleted))

    async def read(self, ref_id: str, field: str) -> bytes:
        """Read a whole blob into memory and check its SHA-256.

        Cost: one Postgres trip and one S3 request.

        Args:
            ref_id: the record's ULID.
            field: a blob field of the class. `"output.content"` names the field `content` of the record
                to which the reference `output_id` points, at no further cost.

        Returns:
            The bytes.

        Raises:
            NotFound: the tenant has no such record, it is deleted, or the field is empty (then `.field`
                is set).
            ValidationError: `ref_id` is not a ULID; nothing was sent.
            UsageError: the class has no such blob field; nothing was sent.
            Corrupt: the bytes differ from those that were saved. Do not retry.
            Unavailable: a server could not be reached. Retryable: call again.

        Example:
            >>> await articles.read(article.ref_id, "body")
            b'# Sun'
        """
        return await read(self._context, self._table, ref_id, field)

    @asynccontextmanager
    async def open(self, ref_id: str, field: str) -> AsyncIterator[AsyncBlobStream]:
        """Open a blob as a stream, for content that should not be held in memory as a whole.

        Use it as a context manager: the request is sent when the block begins, and the connection is
        released when it ends. The last bytes are returned only after the SHA-256 of the whole blob has
        been checked.

        Cost: one Postgres trip and one S3 request.

        Args:
            ref_id: the record's ULID.
            field: a blob field, as for `read`.

        Returns:
            A context manager that yields the stream. Iterate over it, or call `read(size)`.

        Raises:
            NotFound: the tenant has no such record, it is deleted, or the field is empty (then `.field`
                is set).
            ValidationError: `ref_id` is not a ULID; nothing was sent.
            UsageError: the class has no such blob field; nothing was sent.
            Corrupt: while the stream is read: the bytes differ from those that were saved. Do not
                retry.
            Unavailable: a server could not be reached, or the connection broke while reading.
                Retryable: open the blob again.

        Example:
            >>> async with articles.open(article.ref_id, "body") as stream:
            ...     start = await stream.read(3)
            >>> start
            b'# S'
        """
        stream = await open_blob(self._context, self._table, ref_id, field)
        try:
            yield AsyncBlobStream(self._context.ports.runtime, stream)
        finally:
            stream.close()

    async def url(
        self,
        ref_id: str,
        field: str,
        *,
        expires_in: int = 900,
        download_as: str | None = None,
        inline: bool = False,
    ) -> str:
        """Sign a URL from which a client can download a blob directly from S3.

        The URL names one immutable version of the content: a later save does not change what it
        returns.

        Cost: one Postgres trip (one indexed look-up, or two if `field` follows a reference) and one
        signature.

        Args:
            ref_id: the record's ULID.
            field: a blob field, as for `read`.
            expires_in: lifetime in seconds, from 1 to `Settings.max_url_lifetime` (900 s unless set). A
                URL that was signed with temporary credentials expires with them if that is earlier.
                Default: 900.
            download_as: the file name that the browser suggests. Default: the file name that was saved,
                if any.
            inline: let the browser display the content instead of downloading it. Not allowed for types
                that a browser may execute (HTML, SVG, XML, scripts). Default: False.

        Returns:
            The URL. Anyone who has it can download the blob, so treat it as a secret.

        Raises:
            NotFound: the tenant has no such record, it is deleted, or the field is empty (then `.field`
                is set).
            ValidationError: `ref_id` is not a ULID; nothing was sent.
            UsageError: `expires_in` is out of range, `field` is not a blob, or the type is not allowed
                inline.
            Unavailable: Postgres could not be reached. Retryable: call again.

        Example:
            >>> url = await articles.url(article.ref_id, "body", expires_in=300, download_as="summer.md")
            >>> "summer.md" in url
            True
        """
        return await url(self._context, self._table, ref_id, field, expires_in, download_as, inline=inline)

    async def urls(
        self, ref_ids: Iterable[str], field: str, *, expires_in: int = 900, inline: bool = False
    ) -> dict[str, str]:
        """Sign URLs for the blobs of many records.

        Cost: one Postgres trip for any number of records, and one signature for each.

        Args:
            ref_ids: the records' ULIDs; duplicates are ignored.
            field: a blob field, as for `read`.
            expires_in: lifetime in seconds, as for `url`. Default: 900.
            inline: let the browser display the content, as for `url`. Default: False.

        Returns:
            The URLs by ref_id, in the given order. Records that do not exist, are deleted or have an
            empty field are absent.

        Raises:
            ValidationError: a ref_id is not a ULID; nothing was sent.
            UsageError: `ref_ids` is a single str, `expires_in` is out of range, `field` is not a blob,
                or a type is not allowed inline.
            Unavailable: Postgres could not be reached. Retryable: call again.

        Example:
            >>> urls = await articles.urls([article.ref_id], "body")
            >>> list(urls) == [article.ref_id]
            True
        """
        return await urls(self._context, self._table, ref_ids, field, expires_in, inline=inline)

    async def history(self, ref_id: str, *, limit: int = LONGEST) -> list[Event]:
        """Read the events of a record, which may be deleted.

        Cost: one Postgres trip.

        Args:
            ref_id: the record's ULID.
            limit: the maximum number of events, from 1 to 1000; the newest are returned. Default: 1000.

        Returns:
            The events, oldest first. Each has `type`, `version`, `on`, `by`, `reason`, `before` and
            `after`. A field counts as changed if its JSON text has changed, for example from 1 to 1.0. The
            sign of zero is not shown.

        Raises:
            NotFound: this tenant never had such a record.
            ValidationError: `ref_id` is not a ULID; nothing was sent.
            UsageError: `limit` is out of range; nothing was sent.
            Unavailable: Postgres could not be reached. Retryable: call again.

        Example:
            >>> updated = await articles.update(article.ref_id, {"words": 3})
            >>> [(event.type, event.version) for event in await articles.history(article.ref_id)]
            [('articles.created', 1), ('articles.updated', 2)]
        """
        return await history(self._context, self._table, ref_id, limit)

    async def explain(self, ref_id: str) -> str:
        """Describe a record for a person: where each field is stored, its state, and the last five events.

        Cost: one Postgres trip.

        Args:
            ref_id: the record's ULID; a soft-deleted record can be explained too.

        Returns:
            A text of about one screen. Its format may change; do not parse it.

        Raises:
            NotFound: the tenant has no such record.
            ValidationError: `ref_id` is not a ULID; nothing was sent.
            Unavailable: Postgres could not be reached. Retryable: call again.

        Example:
            >>> text = await articles.explain(article.ref_id)
            >>> text.splitlines()[0] == f"articles {article.ref_id}, version 1"
            True
        """
        return await explain(self._context, self._table, ref_id)

    async def save(
        self,
        entity: E,
        *,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
        reason: str | None = None,
    ) -> E:
        """Save a record with all its documents and blobs. It becomes visible as a whole, or not at all.

        A new object is inserted. For a loaded object, only its changes are written, and only if the
        record still has the version that was loaded. The object is updated in place (`version`,
        timestamps). If an earlier save with the same idempotency key has committed, nothing is written
        and that save's record is returned.

        A task that is cancelled before the commit leaves nothing visible.

        Cost: one Postgres trip; two if documents or blobs are new, with one parallel wave of uploads
        between them; none if nothing has changed.

        Args:
            entity: the object to save.
            idempotency_key: a text that identifies this request, 1 to 255 characters, unique in the
                tenant. Saves with the same key create one record, even if a process crashes and the
                save is repeated. A key is kept for 7 days. Default: none.
            expected_version: save only if the record has this version. Default: the version that was
                loaded.
            reason: a text that is stored with the event, at most 4,000 characters; required if the class
                says `reason_required`. Default: none.

        Returns:
            The same object, or the record of the earlier save with this key.

        Raises:
            ValidationError: a value cannot be stored; nothing was sent.
            UsageError: the object is not of this class, its class is append-only and it was changed, it
                is new and `expected_version` was given, or the reason is missing; nothing was sent.
            NotFound: the loaded record is deleted; nothing was changed.
            Conflict: the record has another version. Load it again and re-apply the change.
            InvalidTransition: the state machine does not allow this change of state; nothing was
                changed.
            ConstraintViolation: a database constraint rejected the record; `.fields` names the fields
                of a key that is already taken. Nothing was committed.
            IdempotencyConflict: the key was used for a different request. Use a new key.
            InProgress: another process is saving with this key. Retryable: call again with the same
                key.
            WriteLost: the lease of the write expired and another process took the write over, so it was
                not committed. Retryable: call again.
            Unavailable: a server could not be reached; nothing was committed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost. Retryable: call again with
                the same object or key; the call first finds out whether the write was committed.

        Example:
            >>> article.words = 3
            >>> saved = await articles.save(article)
            >>> saved.version
            2
            >>> first = await articles.save(Article(slug="autumn"), idempotency_key="import-7")
            >>> again = await articles.save(Article(slug="autumn"), idempotency_key="import-7")
            >>> again.ref_id == first.ref_id
            True
        """
        saved = await save(self._context, self._entity, [entity], idempotency_key, expected_version, reason)
        return saved[0]

    async def save_many(
        self,
        entities: Iterable[E],
        *,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
        reason: str | None = None,
    ) -> list[E]:
        """Save many records in one commit, all or nothing.

        Cost: the trips of one `save`, for up to 10,000 records and 64 MiB of documents. More are sent
        in chunks of that size, which limits the memory used, and are written in one transaction.

        Args:
            entities: the objects to save, new or loaded, each once.
            idempotency_key: as for `save`; allowed for one chunk only. Default: none.
            progress: called as `progress(done, total)` with the number of records whose documents and
                blobs are uploaded, and the number of all records. Default: no callback.
            reason: a text that is stored with the events, at most 4,000 characters; required if the class
                says `reason_required`. Default: none.

        Returns:
            The same objects in the same order, or the records of the earlier save with this key.

        Raises:
            ValidationError: a value cannot be stored; nothing was sent. `.index` of this error and of
                those below is the position of the record in `entities`.
            UsageError: an object is not of this class or is given twice, an idempotency key was given
                for more than one chunk, or the reason is missing.
            NotFound: a loaded record is deleted; nothing was changed.
            Conflict: a record has another version; nothing was committed. Load it again and re-apply
                the change.
            InvalidTransition: a state machine does not allow a change of state; nothing was changed.
            ConstraintViolation: a database constraint rejected a record; nothing was committed.
            IdempotencyConflict: the key was used for a different request. Use a new key.
            InProgress: another process is saving with this key. Retryable: call again with the same
                key.
            WriteLost: another process took the write over, so it was not committed. Retryable: call
                again.
            Unavailable: a server could not be reached; nothing was committed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost. Retryable: call again with
                the same objects or key; the call first finds out whether the write was committed.

        Example:
            >>> saved = await articles.save_many(Article(slug=f"day-{day}") for day in range(3))
            >>> [each.version for each in saved]
            [1, 1, 1]
        """
        many = list(entities)
        return await save_many(self._context, self._entity, many, idempotency_key, progress, reason)

    async def upsert(self, entities: Iterable[E], *, reason: str | None = None) -> list[E]:
        """Insert or update records by their natural key, all or nothing.

        A record whose key is new is inserted. For an existing record, the fields that were passed to
        the constructor, assigned or edited in place are written and the other fields keep their
        values; a record that would not change is not written. Validators of the whole record check the
        result.

        Cost: one Postgres trip to look up the keys, and the trips of one `save`.

        Args:
            entities: new objects, each with a different natural key.
            reason: a text that is stored with the events, at most 4,000 characters; required if the class
                says `reason_required`. Default: none.

        Returns:
            All records in their current state, in the given order.

        Raises:
            UsageError: the class has no natural key or is append-only, an object was loaded or saved
                before, or the reason is missing.
            ValidationError: a value cannot be stored, a validator refused a record, or two objects have
                the same key (`.index`); nothing was changed.
            NotLoaded: a validator reads a document (`.index`); nothing was changed.
            ConstraintViolation: the natural key belongs to a soft-deleted record (`.index`), or a
                database constraint rejected a record; nothing was committed.
            TooManyConflicts: other writers were faster in each of ten attempts; nothing was committed.
                Retryable: call again.
            InvalidTransition: a state machine does not allow a change of state; nothing was changed.
            Unavailable: a server could not be reached; nothing was committed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost. Retryable: call again with
                the same objects.

        Example:
            >>> upserted = await articles.upsert([Article(slug="summer", words=9), Article(slug="winter")])
            >>> [(each.slug, each.words, each.version) for each in upserted]
            [('summer', 9, 2), ('winter', 0, 1)]
        """
        return await upsert(self._context, self._entity, list(entities), reason)

    async def insert_ignore(self, entities: Iterable[E], *, reason: str | None = None) -> list[E]:
        """Insert the records whose natural key is new, all or nothing; leave existing records unchanged.

        A soft-deleted record counts as existing. Of several objects with the same key, the first is
        inserted.

        Cost: one Postgres trip to look up the keys, and the trips of one `save` if a record is new.

        Args:
            entities: new objects.
            reason: a text that is stored with the events, at most 4,000 characters; required if the class
                says `reason_required`. Default: none.

        Returns:
            The records that were inserted.

        Raises:
            UsageError: the class has no natural key, an object was loaded or saved before, or the reason
                is missing; nothing was sent.
            ValidationError: a value cannot be stored (`.index`); nothing was sent.
            ConstraintViolation: a database constraint rejected a record; nothing was committed.
            TooManyConflicts: other writers were faster in each of ten attempts; nothing was committed.
                Retryable: call again.
            Unavailable: a server could not be reached; nothing was committed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost. Retryable: call again with
                the same objects.

        Example:
            >>> inserted = await articles.insert_ignore([Article(slug="summer"), Article(slug="winter")])
            >>> [each.slug for each in inserted]
            ['winter']
        """
        return await insert_ignore(self._context, self._entity, list(entities), reason)

    async def update(
        self,
        ref_id: str,
        values: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        reason: str | None = None,
    ) -> E:
        """Write some fields of a record without loading it first.

        If the record has all of the values already, it keeps its version, and no event is recorded.
        The values are converted and validated as in an assignment. If a validator of the class looks at
        other fields, it judges the stored record with the new values.

        Cost: as for `save`. If a document links a blob that changes, one more Postgres trip and one
        MongoDB read, because the document is written again with the new link. If a validator looks at
        other fields, one more Postgres trip.

        Args:
            ref_id: the record's ULID.
            values: maps a field (column, document or blob) to its new value. None removes a document or
                blob.
            expected_version: write only if the record has this version. Default: any version.
            reason: a text that is stored with the event, at most 4,000 characters; required if the class
                says `reason_required`. Default: none.

        Returns:
            The record in its current state, documents not loaded.

        Raises:
            NotFound: the tenant has no such record, or it is deleted; nothing was changed.
            ValidationError: a field is unknown, a value cannot be stored, or a validator refused the
                record; nothing was changed.
            UsageError: the class is append-only, or the reason is missing; nothing was sent.
            NotLoaded: a validator reads a document; nothing was changed. Load the record, change it and
                save it.
            Conflict: the record has another version than `expected_version`; nothing was changed.
            TooManyConflicts: other writers were faster in each of ten attempts; nothing was committed.
                Retryable: call again.
            InvalidTransition: the state machine does not allow this change of state; nothing was
                changed.
            ConstraintViolation: a database constraint rejected the values; nothing was changed.
            WriteLost: another process took the write over, so it was not committed. Retryable: call
                again.
            Unavailable: a server could not be reached; nothing was committed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost; `history` shows whether it
                was committed.

        Example:
            >>> updated = await articles.update(article.ref_id, {"words": 5, "notes": None})
            >>> (updated.words, updated.version)
            (5, 2)
        """
        return await update(self._context, self._entity, ref_id, values, expected_version, reason)

    async def update_many(
        self, values: Mapping[str, Mapping[str, Any]], *, reason: str | None = None
    ) -> list[E]:
        """Write some fields of many records, all or nothing. They are validated as in `update`.

        Cost: as for one `update`.

        Args:
            values: maps each ref_id to its fields and their new values, as for `update`. The fields may
                differ from record to record.
            reason: a text that is stored with the events, at most 4,000 characters; required if the class
                says `reason_required`. Default: none.

        Returns:
            The records in their current state, in the given order, documents not loaded.

        Raises:
            NotFound: the tenant has no such record, or it is deleted; nothing was changed. `.index` of
                this error and of those below is the position of the record in `values`.
            ValidationError: a field is unknown, a value cannot be stored, or a validator refused a
                record; nothing was changed.
            UsageError: the class is append-only, or the reason is missing; nothing was sent.
            NotLoaded: a validator reads a document; nothing was changed. Load the record, change it and
                save it.
            TooManyConflicts: other writers were faster in each of ten attempts; nothing was committed.
                Retryable: call again.
            InvalidTransition: a state machine does not allow a change of state; nothing was changed.
            ConstraintViolation: a database constraint rejected the values; nothing was changed.
            WriteLost: another process took the write over, so it was not committed. Retryable: call
                again.
            Unavailable: a server could not be reached; nothing was committed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost; `history` shows whether it
                was committed.

        Example:
            >>> updated = await articles.update_many({article.ref_id: {"status": "published"}})
            >>> updated[0].status.value
            'published'
        """
        return await update_many(self._context, self._entity, values, reason)

    async def delete(
        self, ref_id: str, *, expected_version: int | None = None, reason: str | None = None
    ) -> None:
        """Delete a record: hide it if the class is `SoftDelete`, else remove it.

        A hidden record can be restored. The documents and blobs of a removed record are queued for
        removal.

        Cost: one Postgres trip.

        Args:
            ref_id: the record's ULID.
            expected_version: delete only if the record has this version. Default: any version.
            reason: a text that is stored with the event, at most 4,000 characters; required if the class
                says `reason_required`. Default: none.

        Raises:
            NotFound: the tenant has no such record, or it is deleted already; nothing was changed.
            Conflict: the record has another version than `expected_version`; nothing was changed.
            ValidationError: `ref_id` is not a ULID; nothing was sent.
            UsageError: the class is append-only, or the reason is missing; nothing was sent.
            ConstraintViolation: other records still refer to this one; nothing was changed.
            Unavailable: Postgres could not be reached; nothing was changed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost; `history` shows whether it
                was committed.

        Example:
            >>> await articles.delete(article.ref_id)
            >>> await articles.count()
            0
        """
        await delete(self._context, self._entity, ref_id, expected_version, reason)

    async def delete_many(self, ref_ids: Iterable[str], *, reason: str | None = None) -> None:
        """Delete many records, all or nothing, as `delete` does.

        Cost: one Postgres trip.

        Args:
            ref_ids: the records' ULIDs, each once.
            reason: a text that is stored with the events, at most 4,000 characters; required if the class
                says `reason_required`. Default: none.

        Raises:
            NotFound: a record does not exist or is deleted already (`.index`); nothing was changed.
            ValidationError: a ref_id is not a ULID (`.index`); nothing was sent.
            UsageError: the class is append-only, `ref_ids` is a single str or names a record twice, or
                the reason is missing.
            ConstraintViolation: other records still refer to one of these; nothing was changed.
            Unavailable: Postgres could not be reached; nothing was changed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost; `history` shows whether it
                was committed.

        Example:
            >>> await articles.delete_many([article.ref_id])
            >>> await articles.count(deleted=True)
            1
        """
        await delete_many(self._context, self._entity, ref_ids, reason)

    async def restore(
        self, ref_id: str, *, expected_version: int | None = None, reason: str | None = None
    ) -> E:
        """Restore a soft-deleted record.

        Cost: one Postgres trip.

        Args:
            ref_id: the record's ULID.
            expected_version: restore only if the record has this version. Default: any version.
            reason: a text that is stored with the event, at most 4,000 characters; required if the class
                says `reason_required`. Default: none.

        Returns:
            The record in its current state, documents not loaded.

        Raises:
            NotFound: the tenant has no such record, or it is not deleted; nothing was changed.
            Conflict: the record has another version than `expected_version`; nothing was changed.
            ValidationError: `ref_id` is not a ULID; nothing was sent.
            UsageError: the class is not `SoftDelete`, or the reason is missing; nothing was sent.
            Unavailable: Postgres could not be reached; nothing was changed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost; `history` shows whether it
                was committed.

        Example:
            >>> await articles.delete(article.ref_id)
            >>> restored = await articles.restore(article.ref_id)
            >>> (restored.slug, restored.version)
            ('summer', 3)
        """
        return await restore(self._context, self._entity, ref_id, expected_version, reason)

    async def transition(
        self, ref_id: str, to: str, *, reason: str | None = None, expected_version: int | None = None
    ) -> E:
        """Move a record to another state of its state machine and record the reason.

        The class declares the state machine: `Annotated[Status, moves({...})]`. A transition may be
        repeated: if it was the last change of the record, the record is returned as it is. If anything
        has changed the record since, the repetition is a new request, which the state machine must
        allow.

        Cost: one Postgres trip.

        Args:
            ref_id: the record's ULID.
            to: the new state, an enum member or its value.
            reason: a text that is stored with the event. Default: none.
            expected_version: move only if the record has this version. A repetition may pass the version
                before the transition or after it. Default: any version.

        Returns:
            The record in its current state, documents not loaded.

        Raises:
            InvalidTransition: the state machine does not allow this change; `.allowed` lists the
                allowed states.
            NotFound: the tenant has no such record, or it is deleted; nothing was changed.
            Conflict: the record has another version than `expected_version`; nothing was changed.
            ValidationError: `to` is not a state of this field, or `ref_id` is not a ULID; nothing was
                sent.
            UsageError: the class declares no state machine; nothing was sent.
            Unavailable: Postgres could not be reached; nothing was changed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost. Retryable: call again.

        Example:
            >>> moved = await articles.transition(article.ref_id, Status.PUBLISHED, reason="approved")
            >>> events = await articles.history(article.ref_id)
            >>> (moved.status.value, events[-1].reason)
            ('published', 'approved')
        """
        return await transition(self._context, self._entity, ref_id, to, reason, expected_version)

    async def claim(
        self,
        where: Mapping[str, Any],
        to: str,
        limit: int = 1,
        *,
        order_by: str | Sequence[str] | None = None,
        lease: Mapping[str, timedelta] | None = None,
        reason: str | None = None,
    ) -> list[E]:
        """Take records of a queue: move them to another state, each for one caller only.

        Records that another call is changing at the moment are skipped, so concurrent claims neither
        wait for each other nor get the same record. With a lease, records whose lease has ended are
        taken first, for example those of a process that was killed.

        Cost: one Postgres trip, also if no record is free.

        Args:
            where: the records to take, as for `find`. It must give the state that they are in.
            to: the new state, an enum member or its value.
            limit: the maximum number of records, from 1 to 1000. Default: 1.
            order_by: as for `find`. Default: the order of the index that fits `where` best.
            lease: maps one datetime column to a timedelta. The column is set to the end of the lease, by
                the clock of the database. A record that is in the state `to` after that time can be
                claimed again. Default: no lease, so a record is claimed once.
            reason: a text that is stored with the events. Default: none.

        Returns:
            The records in their new state, in the order of the index, documents not loaded. Fewer than
            `limit`, or none, if no more are free.

        Raises:
            UsageError: no index contains only the records to take (the message says which to declare),
                `where` gives no state or one from which `to` is not allowed, `limit` is out of range, or
                the class declares no state machine; nothing was sent.
            ValidationError: a column is unknown, a value does not fit its column, or `to` is not a state;
                nothing was sent.
            Unavailable: Postgres could not be reached; nothing was changed. Retryable: call again.
            OutcomeUnknown: the commit was sent, but its response was lost: records may have been moved.
                Retryable: call again; with a lease, the lost records can be claimed when it has ended.

        Example:
            >>> taken = await articles.claim({"status": "draft"}, Status.PUBLISHED, limit=10)
            >>> [(each.slug, each.status.value) for each in taken]
            [('summer', 'published')]
            >>> await articles.claim({"status": "draft"}, Status.PUBLISHED)
            []
        """
        return await claim(self._context, self._entity, where, to, limit, order_by, lease, reason)
