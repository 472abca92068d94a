"""The asynchronous unit of work: all that is saved in it becomes visible in one commit, or none of it."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from storekit.api.base_cursor import BaseCursor, moved
from storekit.api.blocks import AsyncBlock
from storekit.errors import UsageError
from storekit.flows.context import Context
from storekit.flows.write.operations import Operation, Verb
from storekit.flows.write.reason import check_reason
from storekit.flows.write.unit import Unit
from storekit.model.declare.entity import Entity, require_table
from storekit.model.table.machine import moved_to

if TYPE_CHECKING:
    import psycopg

E = TypeVar("E", bound=Entity)


class AsyncTransaction(AsyncBlock):
    """Save many records of many classes, and run your own SQL, in one commit.

    `scope.transaction()` returns it. Enter it once, with `async with`. `save`, `update` and the other
    methods only plan a change, without I/O; the changes are written when the block ends. If the block
    or the commit fails, nothing is committed, and the objects are as if they had not been saved. Only
    one task at a time may use it.

    Cost: at the end of the block the trips of one `save`, for any number of records. With your own SQL
    (see `connection`): one trip before the uploads if documents or blobs are new, one trip that begins
    the transaction and writes what was planned, your statements, one trip that commits, and one trip
    that resets the session. A connection is held only from the first use of `connection` to the end of
    the block.

    With an idempotency key, the unit is committed once. If an earlier unit with the same key has
    committed, nothing is written, `replayed` is True, and the objects that were passed to `save` become
    the stored records: read their ids and values after the block. If the unit uses `connection` or
    `flush`, the key is claimed at the first of them, with what was planned before; a unit that finds its
    key used ends its block there, so that the statements after it do not run. While another unit with the
    key is running, the call waits.

    Raises:
        IdempotencyConflict: the key was used for a unit with other operations. Do not retry.
        InProgress: another process still runs a unit with the key. Retryable: run the whole block again.
        Conflict: at the end of the block: a loaded record was changed by another writer. Load it again,
            and run the whole block again.
        NotFound: at the end of the block: a record is deleted or does not exist. `.index` is the
            position of the record among those planned.
        InvalidTransition: at the end of the block: a state machine does not allow a change of state.
        ConstraintViolation: at the end of the block: a database constraint rejected a record.
        ValidationError: at the end of the block: a value cannot be stored.
        TooManyConflicts: at the end of the block: other writers were faster in each of ten attempts of an
            upsert or update; nothing was committed. Retryable: run the whole block again.
        WriteLost: at the end of the block: another process took over a write of the unit. Retryable:
            run the whole block again.
        Unavailable: at the end of the block: a server could not be reached, or Postgres ended the
            transaction because of a deadlock; nothing was committed. Retryable: run the whole block
            again.
        OutcomeUnknown: at the end of the block: the commit was sent, but its response was lost.
            Retryable: save the same objects again; the call first finds out whether the unit was
            committed.

    Example:
        >>> async with acme.transaction() as tx:
        ...     autumn = tx.save(Article(slug="autumn"))
        ...     tx.update(Article, article.ref_id, {"words": 7})
        >>> autumn.version
        1
    """

    def __init__(self, context: Context, within: Any, key: str | None, reason: str | None) -> None:
        self._made = Unit(context, within, key, reason)
        self._entered = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise UsageError(
                "a unit of work can be entered only once; begin another with scope.transaction()"
            )
        self._entered = True
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> bool | None:
        # the type is not `bool`: type checkers would then expect every block to suppress errors
        return await self._unit.leave(error)

    @property
    def replayed(self) -> bool:
        """Return whether an earlier unit with the same idempotency key had committed.

        Cost: no I/O.

        Returns:
            True if so, when the block has ended. This unit then wrote nothing.

        Example:
            >>> async with acme.transaction(idempotency_key="job 17") as tx:
            ...     autumn = tx.save(Article(slug="autumn"))
            >>> async with acme.transaction(idempotency_key="job 17") as tx:
            ...     again = tx.save(Article(slug="autumn"))
            >>> (tx.replayed, again.ref_id == autumn.ref_id)
            (True, True)
        """
        return self._made.replayed

    @property
    def _unit(self) -> Unit:
        if not self._entered:
            raise UsageError("enter the unit of work first: async with scope.transaction() as tx")
        return self._made

    def save(self, entity: E, *, expected_version: int | None = None, reason: str | None = None) -> E:
        """Plan to save a record, with the values that the object has when the unit is flushed.

        Cost: none now; the class states the cost of the block.

        Args:
            entity: a new or loaded object. Saving the same object again in the block is allowed.
            expected_version: save only if the record has this version. Default: the version that was
                loaded.
            reason: a text that is stored with the event. Default: the reason of the unit.

        Returns:
            The same object. Its `version` and timestamps are set when the block ends.

        Raises:
            UsageError: the record is planned for another operation or is flushed already, has new
                documents or blobs after `connection` was used, or the block has ended; or a reason is
                required and missing.
            ValidationError: `expected_version` is not an int.

        Example:
            >>> async with acme.transaction() as tx:
            ...     autumn = tx.save(Article(slug="autumn"))
            >>> autumn.version
            1
        """
        require_table(type(entity))
        operation = Operation(
            "save", type(entity), entity.ref_id, entity, {}, expected_version, reason=reason
        )
        self._unit.add(operation)
        return entity

    def save_many(self, entities: Iterable[Entity], *, reason: str | None = None) -> None:
        """Plan to save many records, of any classes.

        Cost: none now; the class states the cost of the block.

        Args:
            entities: new or loaded objects.
            reason: a text that is stored with the events. Default: the reason of the unit.

        Raises:
            UsageError: as for `save`.

        Example:
            >>> async with acme.transaction() as tx:
            ...     tx.save_many(Article(slug=f"day-{day}") for day in range(3))
            >>> await acme.repository(Article).count({"slug": prefix("day-")})
            3
        """
        for entity in entities:
            self.save(entity, reason=reason)

    def update(
        self,
        entity: type[Entity],
        ref_id: str,
        values: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Plan to write some fields of a record without loading it.

        Cost: none now; the class states the cost of the block. If a document links a blob that changes,
        the flush costs one more Postgres trip and one MongoDB read. If a validator of the class looks at
        other fields, the flush costs one more Postgres trip.

        Args:
            entity: the class of the record.
            ref_id: the record's ULID.
            values: maps a field (column, document or blob) to its new value. None removes a document or
                blob. The values are copied now.
            expected_version: write only if the record has this version. Default: any version.
            reason: a text that is stored with the event. Default: the reason of the unit.

        Raises:
            UsageError: the class is append-only, the record is in this unit already, or the block has
                ended.
            ValidationError: `ref_id` is not a ULID, or `values` is not a mapping. Unknown fields,
                invalid values and validators raise it when the unit is flushed.

        Example:
            >>> async with acme.transaction() as tx:
            ...     tx.update(Article, article.ref_id, {"words": 7})
            >>> updated = await acme.repository(Article).get(article.ref_id)
            >>> updated.words
            7
        """
        require_table(entity)
        self._unit.add(Operation("update", entity, ref_id, None, values, expected_version, reason=reason))

    def transition(
        self,
        entity: type[Entity],
        ref_id: str,
        to: str,
        *,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> None:
        """Plan to move a record to another state of its state machine.

        As with `repository.transition`, a repetition changes nothing: the transition to this state was
        the last change of the record.

        Cost: none now; the class states the cost of the block.

        Args:
            entity: the class of the record.
            ref_id: the record's ULID.
            to: the new state, an enum member or its value.
            reason: a text that is stored with the event. Default: the reason of the unit.
            expected_version: move only if the record has this version. A repetition may pass the version
                before the transition or after it. Default: any version.

        Raises:
            UsageError: the class declares no state machine, the record is in this unit already, or the
                block has ended.
            ValidationError: `to` is not a state of this field, or `ref_id` is not a ULID.

        Example:
            >>> async with acme.transaction(reason="approved") as tx:
            ...     tx.transition(Article, article.ref_id, Status.PUBLISHED)
            >>> events = await acme.repository(Article).history(article.ref_id)
            >>> events[-1].reason
            'approved'
        """
        check_reason(reason)
        values = moved_to(require_table(entity), to)
        self._unit.add(Operation("transition", entity, ref_id, None, values, expected_version, reason=reason))

    def delete(
        self,
        entity: type[Entity],
        ref_id: str,
        *,
        expected_version: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Plan to delete a record: to hide it if the class is `SoftDelete`, else to remove it.

        Cost: none now; the class states the cost of the block.

        Args:
            entity: the class of the record.
            ref_id: the record's ULID.
            expected_version: delete only if the record has this version. Default: any version.
            reason: a text that is stored with the event. Default: the reason of the unit.

        Raises:
            UsageError: the class is append-only, the record is in this unit already, or the block has
                ended.
            ValidationError: `ref_id` is not a ULID.

        Example:
            >>> async with acme.transaction() as tx:
            ...     tx.delete(Article, article.ref_id)
            >>> await acme.repository(Article).count()
            0
        """
        require_table(entity)
        operation = Operation("delete", entity, ref_id, expected_version=expected_version, reason=reason)
        self._unit.add(operation)

    def restore(
        self,
        entity: type[Entity],
        ref_id: str,
        *,
        expected_version: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Plan to restore a soft-deleted record.

        Cost: none now; the class states the cost of the block.

        Args:
            entity: the class of the record.
            ref_id: the record's ULID.
            expected_version: restore only if the record has this version. Default: any version.
            reason: a text that is stored with the event. Default: the reason of the unit.

        Raises:
            UsageError: the class is not `SoftDelete`, the record is in this unit already, or the block
                has ended.
            ValidationError: `ref_id` is not a ULID.

        Example:
            >>> await acme.repository(Article).delete(article.ref_id)
            >>> async with acme.transaction() as tx:
            ...     tx.restore(Article, article.ref_id)
            >>> await acme.repository(Article).count()
            1
        """
        require_table(entity)
        operation = Operation("restore", entity, ref_id, expected_version=expected_version, reason=reason)
        self._unit.add(operation)

    def upsert(self, entities: Iterable[Entity], *, reason: str | None = None) -> None:
        """Plan to insert or update records by their natural key.

        A record whose key is new is inserted. For an existing record, the fields that were passed to
        the constructor, assigned or edited in place are written and the other fields keep their
        values.

        Cost: the flush needs one more Postgres trip to look up the keys.

        Args:
            entities: new objects of any classes with a natural key, each with a different key.
            reason: a text that is stored with the events. Default: the reason of the unit.

        Raises:
            UsageError: a class has no natural key or is append-only, an object was loaded or saved
                before or is in this unit already, or the block has ended.

        Example:
            >>> async with acme.transaction() as tx:
            ...     tx.upsert([Article(slug="summer", words=9), Article(slug="winter")])
            >>> await acme.repository(Article).count({"slug": in_("summer", "winter")})
            2
        """
        self._add_each("upsert", entities, reason)

    def insert_ignore(self, entities: Iterable[Entity], *, reason: str | None = None) -> None:
        """Plan to insert the records whose natural key is new; existing records stay unchanged.

        Objects that are not inserted keep `version` None.

        Cost: the flush needs one more Postgres trip to look up the keys.

        Args:
            entities: new objects of any classes with a natural key.
            reason: a text that is stored with the events. Default: the reason of the unit.

        Raises:
            UsageError: a class has no natural key, an object was loaded or saved before or is in this
                unit already, or the block has ended.

        Example:
            >>> summer, winter = Article(slug="summer"), Article(slug="winter")
            >>> async with acme.transaction() as tx:
            ...     tx.insert_ignore([summer, winter])
            >>> (summer.version, winter.version)
            (None, 1)
        """
        self._add_each("insert_ignore", entities, reason)

    def _add_each(self, verb: Verb, entities: Iterable[Entity], reason: str | None) -> None:
        for entity in entities:
            require_table(type(entity))
            key = self._unit.key
            self._unit.add(Operation(verb, type(entity), entity.ref_id, entity, reason=reason, key=key))

    def advance(self, cursor: BaseCursor, to: str) -> None:
        """Plan to move an import cursor from the position that `cursor.read()` returned to a new one.

        If another process moves the cursor in the meantime, the block raises `Conflict` and nothing is
        committed.

        Cost: none now; the class states the cost of the block.

        Args:
            cursor: a cursor of this scope's tenant (`scope.cursor(name)`) that was read.
            to: the new position, 1 to 4096 characters.

        Raises:
            UsageError: the cursor was not read or belongs to another tenant, or the block has ended.
            ValidationError: `to` is empty, too long or not a str.

        Example:
            >>> cursor = acme.cursor("webhooks")
            >>> _ = await cursor.read()
            >>> async with acme.transaction() as tx:
            ...     tx.advance(cursor, "17")
            >>> cursor.position
            '17'
        """
        record = moved(cursor, to, self._unit.context.actor)
        self._unit.add(Operation("advance", type(record), record.ref_id, record))

    async def flush(self) -> None:
        """Send what is planned so far.

        Before the first use of `connection` this uploads new documents and blobs, so that a large unit
        need not hold them in memory; nothing is visible yet. After the first use, it writes the planned
        records in the open transaction.

        Cost: one Postgres trip and one parallel wave of uploads if there are new documents or blobs,
        else none; after `connection` was used, one Postgres trip.

        Raises:
            ValidationError: a value cannot be stored. Any error of `flush` ends the unit; nothing was
                committed.
            UsageError: the unit has failed or ended, or another task is using it.
            NotFound: a record is deleted or does not exist.
            Conflict: a record has another version.
            ConstraintViolation: a database constraint rejected a record.
            Unavailable: a server could not be reached. Retryable: run the whole block again.

        Example:
            >>> async with acme.transaction() as tx:
            ...     for day in range(3):
            ...         tx.save_many([Article(slug=f"day-{day}", body=Blob("# Hot"))])
            ...         await tx.flush()
            >>> await acme.repository(Article).count({"slug": prefix("day-")})
            3
        """
        await self._unit.flush()

    @property
    def connection(self) -> Awaitable[psycopg.AsyncConnection[Any]]:
        """Begin the transaction and return its psycopg connection, for your own SQL.

        What is planned so far is flushed first. The connection sees only this tenant's rows, including
        those that this unit has saved so far. The changes of your SQL are recorded as events too, with
        the actor, context and reason of the unit. Do not commit or roll back: the unit does. Run a
        statement that may fail in a savepoint: `async with connection.transaction()`.

        From then on the transaction holds row locks. Records that are saved later in this unit must not
        have new documents or blobs, because the locks would be held during the upload.

        Cost: one Postgres trip at the first use, besides those of the flush; then none.

        Returns:
            The connection. It is valid until the block ends.

        Raises:
            UsageError: the unit has failed or ended, or another task is using it. Any error ends the
                unit.
            IdempotencyConflict, InProgress: see the class.
            NotFound: a planned record is deleted or does not exist.
            Conflict: a planned record has another version.
            ConstraintViolation: a database constraint rejected a planned record.
            Unavailable: a server could not be reached. Retryable: run the whole block again.

        Example:
            >>> async with acme.transaction() as tx:
            ...     autumn = tx.save(Article(slug="autumn"))
            ...     connection = await tx.connection
            ...     _ = await connection.execute("UPDATE articles SET words = words + 1")
        """
        return self._connect()

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        connection: psycopg.AsyncConnection[Any] = await self._unit.connect()
        return connection
