"""The records of one class: each method is one flow, driven to its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from storekit.api.reader import Reader
from storekit.bridge import run
from storekit.flows.write.bulk import delete_many, insert_ignore, save_many, upsert
from storekit.flows.write.remove import delete, restore
from storekit.flows.write.save import save
from storekit.flows.write.transition import transition
from storekit.flows.write.update import update, update_many
from storekit.flows.write.upload import Progress
from storekit.model.declare.entity import Entity

E = TypeVar("E", bound=Entity)


class Repository(Reader[E]):
    """The records of one class, of one tenant, as one actor. Thread-safe."""

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
        return run(save(self._context, self._entity, [entity], idempotency_key, expected_version))[0]

    def save_many(
        self, entities: Iterable[E], *, idempotency_key: str | None = None, progress: Progress | None = None
    ) -> list[E]:
        """Save records, all or nothing, in one commit.

        Cost: the trips of one `save`, whatever their number: up to 10,000 records and 64 MiB of documents.
        More are sent in chunks of that size, which bound the memory, and written in one transaction.

        Args:
            idempotency_key: as for `save`; one chunk at most.
            progress: called with the number of records whose parts are in the stores, and of all.

        Raises:
            ValidationError, Conflict, ConstraintViolation, ...: as for `save`; `.index` tells which of the
                records it is about. Nothing is visible.
        """
        many = list(entities)
        return run(save_many(self._context, self._entity, many, idempotency_key, progress))

    def upsert(self, entities: Iterable[E]) -> list[E]:
        """Insert what is new by its natural key; of what is there write the fields that were given.

        All or nothing. A field that was not given keeps its value; what is as it shall be is not written.

        Cost: one Postgres trip to look them up, and those of a `save`.

        Returns:
            The records as they are now, in the same order: of what was there, loaded ones.

        Raises:
            UsageError: the class has no natural key, or is append-only.
            ConstraintViolation: the key belongs to a deleted record; `.index` tells whose.
            ValidationError, InvalidTransition, ...: as for `save_many`.
        """
        return run(upsert(self._context, self._entity, list(entities)))

    def insert_ignore(self, entities: Iterable[E]) -> list[E]:
        """Insert what is new by its natural key, and leave alone what is there, deleted or not.

        All or nothing. Of several with one key in `entities`, the first counts.

        Cost: one Postgres trip to look them up, and those of a `save` if any is new.

        Returns:
            Those that were new.

        Raises:
            UsageError: the class has no natural key.
            ValidationError, ConstraintViolation, ...: as for `save_many`.
        """
        return run(insert_ignore(self._context, self._entity, list(entities)))

    def update(self, ref_id: str, values: Mapping[str, Any], *, expected_version: int | None = None) -> E:
        """Write some fields of a record without loading it; the others cost nothing.

        Cost: as `save`; one trip and one read more when a document links a blob that changes.

        Returns:
            The record as it is now, with its documents unloaded.

        Raises:
            NotFound, Conflict, InvalidTransition, ValidationError: nothing was changed.
        """
        return run(update(self._context, self._entity, ref_id, values, expected_version))

    def update_many(self, values: Mapping[str, Mapping[str, Any]]) -> list[E]:
        """Write some fields of many records, all or nothing: `{ref_id: {"status": "done"}, ...}`.

        Cost: as one `update`.

        Returns:
            The records as they are now, with their documents unloaded.

        Raises:
            NotFound, Conflict, InvalidTransition, ValidationError: nothing was changed; `.index` tells by
                whose fault.
        """
        return run(update_many(self._context, self._entity, values))

    def delete(self, ref_id: str, *, expected_version: int | None = None) -> None:
        """Hide a soft-deletable record; remove any other, and its parts in time. One Postgres trip.

        Raises:
            NotFound, Conflict: nothing was changed.
            UsageError: the class is append-only.
        """
        run(delete(self._context, self._entity, ref_id, expected_version))

    def delete_many(self, ref_ids: Iterable[str]) -> None:
        """Delete records, all or none, as `delete` does. One Postgres trip.

        Raises:
            NotFound: one of them is not there; `.index` tells which. Nothing was changed.
            UsageError: the class is append-only.
        """
        run(delete_many(self._context, self._entity, ref_ids))

    def restore(self, ref_id: str, *, expected_version: int | None = None) -> E:
        """Bring a record back that delete has hidden. One Postgres trip.

        Returns:
            The record as it is now, with its documents unloaded.

        Raises:
            NotFound, Conflict: nothing was changed; a record that is not hidden is not found.
            UsageError: the class is not derived from SoftDelete.
        """
        return run(restore(self._context, self._entity, ref_id, expected_version))

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
        return run(transition(self._context, self._entity, ref_id, to, reason, expected_version))
