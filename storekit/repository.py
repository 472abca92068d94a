"""The records of one class: each method is one flow, driven to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from storekit.assembly import Assembly
from storekit.bridge import run
from storekit.flows.context import Actor
from storekit.flows.explain import explain
from storekit.flows.history import LONGEST, history
from storekit.flows.load import get, open_blob, read
from storekit.flows.remove import delete, restore
from storekit.flows.save import save, update
from storekit.flows.transition import transition
from storekit.flows.url import url, urls
from storekit.model.entity import Entity, require_table
from storekit.model.events import Event
from storekit.ports import BlobStream

E = TypeVar("E", bound=Entity)


class Repository(Generic[E]):
    """The records of one class, of one tenant, as one actor. Thread-safe."""

    def __init__(self, ports: Assembly, actor: Actor, entity: type[E]) -> None:
        self._ports, self._entity, self._table = ports, entity, require_table(entity)
        self._actor = actor.acting_on(self._table)

    def save(
        self, entity: E, *, idempotency_key: str | None = None, expected_version: int | None = None
    ) -> E:
        """Save a record with all its parts: visible whole, or not at all.

        A new entity is inserted, a loaded one has its changes written, compared with the version that was
        loaded. The object is updated in place and returned; a replay returns the record first saved instead.

        Cost: one Postgres trip; with new parts two, around one parallel wave; none when nothing changed.

        Args:
            idempotency_key: one record for each key, whatever crashes and repeats there are. Kept 7 days.
            expected_version: compare with this version instead of the loaded one.

        Raises:
            ValidationError: a value that cannot be stored; nothing was sent.
            Conflict: somebody saved first; load again. Not retryable.
            InvalidTransition: the state would move where the class's machine has no move.
            IdempotencyConflict: the key was used for another request.
            Unavailable, WriteLost, InProgress: nothing is visible; call again.
            OutcomeUnknown: call again with the same object or key, which learns the outcome first.
        """
        return run(save(self._ports, self._actor, self._entity, [entity], idempotency_key, expected_version))[
            0
        ]

    def save_many(self, entities: Iterable[E], *, idempotency_key: str | None = None) -> list[E]:
        """Save records, all or nothing, in one commit. Cost and errors are those of one `save`."""
        return run(save(self._ports, self._actor, self._entity, list(entities), idempotency_key))

    def get(self, ref_id: str, *, load: Sequence[str] = ()) -> E:
        """Read a record; documents only when named in `load`.

        Cost: one Postgres trip, and one MongoDB trip for each collection in `load`.

        Raises:
            NotFound: there is none for this tenant, or it is deleted.
            Corrupt: a document is missing before its expiry, or is not what was saved. Never retry.
        """
        return run(get(self._ports, self._actor, self._entity, ref_id, load))

    def read(self, ref_id: str, field: str) -> bytes:
        """Read a whole blob into memory, checked against its SHA-256.

        Cost: one Postgres trip and one S3 request.

        Raises:
            NotFound: no such record, or nothing in the field.
            Corrupt: the bytes are not what was saved. Never retry.
        """
        return run(read(self._ports, self._actor, self._table, ref_id, field))

    @contextmanager
    def open(self, ref_id: str, field: str) -> Iterator[BlobStream]:
        """Stream a blob: `with calls.open(ref_id, "transcript") as stream`. As `read`, but never whole."""
        stream = run(open_blob(self._ports, self._actor, self._table, ref_id, field))
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

        Cost: one Postgres trip of one indexed look-up, one signature.

        Args:
            expires_in: seconds, at most 900 by default; never longer than the credentials live.
            download_as: the file name offered; default is the one that was saved.
            inline: show in the browser; refused for what a browser would run (HTML, SVG, XML, scripts).

        Raises:
            NotFound: no such record, or nothing in the field.
            UsageError: the expiry is over the limit, or the field is not a blob.
        """
        return run(
            url(self._ports, self._actor, self._table, ref_id, field, expires_in, download_as, inline=inline)
        )

    def urls(
        self, ref_ids: Iterable[str], field: str, *, expires_in: int = 900, inline: bool = False
    ) -> dict[str, str]:
        """Sign URLs of many records' blobs, by ref_id. Records that are gone or empty there are absent.

        Cost: one Postgres trip, whatever their number.
        """
        return run(urls(self._ports, self._actor, self._table, ref_ids, field, expires_in, inline=inline))

    def update(self, ref_id: str, values: Mapping[str, Any], *, expected_version: int | None = None) -> E:
        """Write some fields of a record without loading it; the others cost nothing.

        Cost: as `save`; one trip and one read more when a document links a blob that changes.

        Returns:
            The record as it is now, with its documents unloaded.

        Raises:
            NotFound, Conflict, InvalidTransition, ValidationError: nothing was changed.
        """
        return run(update(self._ports, self._actor, self._entity, ref_id, values, expected_version))

    def delete(self, ref_id: str, *, expected_version: int | None = None) -> None:
        """Hide a soft-deletable record; remove any other, and its parts in time. One Postgres trip.

        Raises:
            NotFound, Conflict: nothing was changed.
            UsageError: the class is append-only.
        """
        run(delete(self._ports, self._actor, self._entity, ref_id, expected_version))

    def restore(self, ref_id: str, *, expected_version: int | None = None) -> E:
        """Bring a record back that delete has hidden. One Postgres trip.

        Returns:
            The record as it is now, with its documents unloaded.

        Raises:
            NotFound, Conflict: nothing was changed; a record that is not hidden is not found.
            UsageError: the class is not derived from SoftDelete.
        """
        return run(restore(self._ports, self._actor, self._entity, ref_id, expected_version))

    def transition(
        self, ref_id: str, to: str, *, reason: str | None = None, expected_version: int | None = None
    ) -> E:
        """Move a record to another state of its machine, and note why.

        Cost: one Postgres trip.

        Returns:
            The record as it is now, with its documents unloaded.

        Raises:
            InvalidTransition: its machine has no such move; `.allowed` names those it has.
            NotFound, Conflict: nothing was changed.
            OutcomeUnknown: its answer was lost; `history` tells.
        """
        return run(transition(self._ports, self._actor, self._entity, ref_id, to, reason, expected_version))

    def history(self, ref_id: str, *, limit: int = LONGEST) -> list[Event]:
        """Tell what happened to a record, oldest first; a deleted one has a history too.

        Cost: one Postgres trip.

        Args:
            limit: the newest so many events, at most 1000.

        Raises:
            NotFound: this tenant never had such a record.
        """
        return run(history(self._ports, self._actor, self._table, ref_id, limit))

    def explain(self, ref_id: str) -> str:
        """Tell on one screen where each field is, in which state, by whom, and what happened last.

        Cost: one Postgres trip.
        """
        return run(explain(self._ports, self._actor, self._table, ref_id))
