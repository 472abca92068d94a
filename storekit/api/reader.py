"""What is read of the records of one class: each method is one flow, driven to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from storekit.bridge import run
from storekit.flows.context import Context
from storekit.flows.read.blobs import open_blob, read
from storekit.flows.read.explain import explain
from storekit.flows.read.find import count, find
from storekit.flows.read.history import LONGEST, history
from storekit.flows.read.load import get
from storekit.flows.read.url import url, urls
from storekit.model.declare.entity import Entity, require_table
from storekit.model.find.page import Page
from storekit.model.values.event import Event
from storekit.ports.stores import BlobStream

E = TypeVar("E", bound=Entity)


class Reader(Generic[E]):
    """What is read of the records of one class, of one tenant. Thread-safe."""

    def __init__(self, context: Context, entity: type[E]) -> None:
        self._entity, self._table = entity, require_table(entity)
        self._context = context.acting_on(self._table)

    def get(self, ref_id: str, *, load: Sequence[str] = ()) -> E:
        """Read a record; documents only when named in `load`.

        Cost: one Postgres trip, and one MongoDB trip for each collection in `load`.

        Raises:
            NotFound: there is none for this tenant, or it is deleted.
            Corrupt: a document is missing before its expiry, or is not what was saved. Never retry.
        """
        return run(get(self._context, self._entity, ref_id, load))

    def find(
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

        It goes on where the last one ended: none comes twice or is left out while others come, change and go.

        Cost: one Postgres trip, and one parallel wave of a MongoDB trip for each collection in `load`. What
        the index holds and the filters refuse is read on the way.

        Args:
            where: columns with their value, None or a filter: `in_`, `between`, `lt`, `le`, `gt`, `ge`,
                `is_null`, `prefix`, `contains`, `json_path`, `has_key`. A parent's ref_id selects its
                children: {"run.ref_id": run.ref_id} where a column run_id references it.
            order_by: columns, as "-created_on" or ["team", "-created_on"], that an index has in this order
                behind those that `where` fixes. By default that of the best index, else newest first.
            limit: the most records of the page, from 1 to 1000.
            after: the `.next` of the page before, of the same query.
            load: the documents to read with the records.
            deleted: find what `delete` has hidden, too.
            unindexed: allow any order, for which all records that match are read and sorted.

        Raises:
            ValidationError: an unknown column, a value that its column cannot hold, or a cursor of another
                query; nothing was sent.
            UsageError: no index gives the order; the message says which one would.
            Corrupt: a document is missing before its expiry, or is not what was saved. Never retry.
        """
        return run(
            find(
                self._context,
                self._entity,
                where,
                order_by,
                limit,
                after,
                load,
                deleted=deleted,
                unindexed=unindexed,
            )
        )

    def count(self, where: Mapping[str, Any] | None = None, *, deleted: bool = False) -> int:
        """Count the records that `find` would find on all its pages.

        Cost: one Postgres trip, which reads all of them.

        Raises:
            ValidationError: as `find`.
        """
        return run(count(self._context, self._entity, where, deleted=deleted))

    def read(self, ref_id: str, field: str) -> bytes:
        """Read a whole blob into memory, checked against its SHA-256.

        Cost: one Postgres trip and one S3 request.

        Args:
            field: of the class, or "output.content" for that of the record which `output_id` refers to.

        Raises:
            NotFound: no such record, or nothing in the field, as in any of a record that is hidden.
            Corrupt: the bytes are not what was saved. Never retry.
        """
        return run(read(self._context, self._table, ref_id, field))

    @contextmanager
    def open(self, ref_id: str, field: str) -> Iterator[BlobStream]:
        """Stream a blob: `with calls.open(ref_id, "transcript") as stream`. As `read`, but never whole."""
        stream = run(open_blob(self._context, self._table, ref_id, field))
        try:
            yield stream
        finally:
            stream.close()

    def url(
        self,
        ref_id: str,
        field: str,
        *,
        expires_in: int = 900,
        download_as: str | None = None,
        inline: bool = False,
    ) -> str:
        """Sign a URL that gets a blob straight from S3.

        Cost: one Postgres trip of one indexed look-up, or two if a reference is followed; one signature.

        Args:
            field: as for `read`: "output.content" is signed in the same trip.
            expires_in: seconds, at most 900 by default; never longer than the credentials live.
            download_as: the file name offered; default is the one that was saved.
            inline: show in the browser; refused for what a browser would run (HTML, SVG, XML, scripts).

        Raises:
            NotFound: no such record, or nothing in the field.
            UsageError: the expiry is over the limit, or the field leads to no blob.
        """
        return run(url(self._context, self._table, ref_id, field, expires_in, download_as, inline=inline))

    def urls(
        self, ref_ids: Iterable[str], field: str, *, expires_in: int = 900, inline: bool = False
    ) -> dict[str, str]:
        """Sign URLs of many records' blobs, by ref_id. Records that are gone or empty there are absent.

        Cost: one Postgres trip, whatever their number. `field` is as for `read`.
        """
        return run(urls(self._context, self._table, ref_ids, field, expires_in, inline=inline))

    def history(self, ref_id: str, *, limit: int = LONGEST) -> list[Event]:
        """Tell what happened to a record, oldest first; a deleted one has a history too.

        Cost: one Postgres trip.

        Args:
            limit: the newest so many events, at most 1000.

        Raises:
            NotFound: this tenant never had such a record.
        """
        return run(history(self._context, self._table, ref_id, limit))

    def explain(self, ref_id: str) -> str:
        """Tell on one screen where each field is, in which state, by whom, and what happened last.

        Cost: one Postgres trip.
        """
        return run(explain(self._context, self._table, ref_id))
