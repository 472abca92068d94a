"""A unit of work: what is saved in it becomes visible in one commit, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from storekit.api.import_cursor import BaseCursor
from storekit.bridge import run
from storekit.errors import UsageError
from storekit.flows.write.operations import Operation, Verb
from storekit.flows.write.unit import Unit
from storekit.model.declare.entity import Entity, require_table

if TYPE_CHECKING:
    import psycopg

    from storekit.flows.context import Context

E = TypeVar("E", bound=Entity)


class Planner:
    """What both colours plan alike: no I/O, whatever the colour."""

    def __init__(self, context: Context, within: Any) -> None:
        self._made = Unit(context, within)
        self._entered = False

    def _enter(self) -> Self:
        if self._entered:
            raise UsageError("this unit of work was entered before; begin another: scope.transaction()")
        self._entered = True
        return self

    @property
    def _unit(self) -> Unit:
        if not self._entered:
            raise UsageError("enter the unit of work first: with scope.transaction() as tx")
        return self._made

    def save(self, entity: E, *, expected_version: int | None = None) -> E:
        """Plan to save a record; it is written as it is when the unit is flushed. No trip.

        Raises:
            UsageError: the record is in this unit already, or has new parts after `connection` was used.
        """
        require_table(type(entity))
        self._unit.add(Operation("save", type(entity), entity.ref_id, entity, {}, expected_version))
        return entity

    def save_many(self, entities: Iterable[Entity]) -> None:
        """Plan to save records of any classes. No trip."""
        for entity in entities:
            self.save(entity)

    def update(
        self,
        entity: type[Entity],
        ref_id: str,
        values: Mapping[str, Any],
        *,
        expected_version: int | None = None,
    ) -> None:
        """Plan to write some fields of a record that need not be loaded. No trip."""
        require_table(entity)
        self._unit.add(Operation("update", entity, ref_id, None, values, expected_version))

    def delete(self, entity: type[Entity], ref_id: str, *, expected_version: int | None = None) -> None:
        """Plan to delete a record. No trip."""
        require_table(entity)
        self._unit.add(Operation("delete", entity, ref_id, expected_version=expected_version))

    def restore(self, entity: type[Entity], ref_id: str, *, expected_version: int | None = None) -> None:
        """Plan to bring a deleted record back. No trip."""
        require_table(entity)
        self._unit.add(Operation("restore", entity, ref_id, expected_version=expected_version))

    def upsert(self, entities: Iterable[Entity]) -> None:
        """Plan to insert what is new by its natural key, and to write the given fields of the others.

        The look-up of what is there costs the flush one Postgres trip.
        """
        self._add_each("upsert", entities)

    def insert_ignore(self, entities: Iterable[Entity]) -> None:
        """Plan to insert what is new by its natural key; the objects that were not keep `version` None.

        The look-up of what is there costs the flush one Postgres trip.
        """
        self._add_each("insert_ignore", entities)

    def _add_each(self, verb: Verb, entities: Iterable[Entity]) -> None:
        for entity in entities:
            require_table(type(entity))
            self._unit.add(Operation(verb, type(entity), entity.ref_id, entity))

    def advance(self, cursor: BaseCursor, to: str) -> None:
        """Plan to move a cursor on from where `cursor.read()` found it. No trip.

        Raises (at the end of the unit):
            Conflict: somebody else has moved it since; nothing of this unit is visible.
        """
        if not isinstance(cursor, BaseCursor):
            raise UsageError("advance() takes a cursor, as scope.cursor(name) gives it, and a position")
        record = cursor.moved(to, self._unit.context.actor)
        self._unit.add(Operation("save", type(record), record.ref_id, record))


class Transaction(Planner):
    """What `scope.transaction()` gives. Of one thread at a time."""

    def __enter__(self) -> Self:
        return self._enter()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        run(self._unit.leave(error))

    def flush(self) -> None:
        """Stage and upload what is planned so far; once `connection` was used, write it in that transaction.

        Cost: one Postgres trip and one wave if there are new parts; one trip in the transaction.
        """
        run(self._unit.flush())

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """Flush, begin the transaction, and give its psycopg connection for SQL of your own.

        What is saved later in the unit may have no new parts, so that no upload ever holds locks.

        Cost: at first use one Postgres trip beside the flush.
        """
        found: psycopg.Connection[Any] = run(self._unit.connect())
        return found
