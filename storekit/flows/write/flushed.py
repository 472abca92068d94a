"""The writes of a unit of work: their parts are uploaded first, then one transaction commits them.

No transaction is open while parts are uploaded, so that row locks are never held during an upload.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from storekit.errors import StorekitError, Unavailable, UsageError
from storekit.flows.context import Context
from storekit.flows.replies import Json, visible_from
from storekit.flows.write import in_transaction
from storekit.flows.write.attempt import Attempt
from storekit.flows.write.attribution import attribute
from storekit.flows.write.natural_keys import RACES, raced
from storekit.flows.write.operations import Operation
from storekit.flows.write.planning import planned
from storekit.flows.write.resolve import resolve
from storekit.flows.write.unresolved import remember, resolve_former
from storekit.model.save.change import Change
from storekit.model.save.memory import note_saved, restore_undecided, snapshot
from storekit.ports.stores import RolledBack, Session

TOO_LATE = (
    "the record has new documents or blobs; save it before the first use of tx.connection, because row locks "
    "would be held during the upload"
)
Row = tuple[str, str]
"""A table and a ref_id."""


@dataclass(frozen=True, slots=True, eq=False)
class Flushed:
    """A write whose parts have been uploaded."""

    attempt: Attempt
    changes: Sequence[Change]
    operations: Sequence[Operation]
    rows: frozenset[Row]

    def remember(self) -> None:
        """Store the write in its objects, so that their next save settles it first."""
        holders = [change.holder for change in self.changes if change.holder is not None]
        remember(self.attempt.context, holders, None, self.attempt.write.write_id)


@dataclass(slots=True, eq=False)
class Writes:
    """The writes of one unit in their order, and the transaction that they are written in."""

    context: Context
    within: Any = None
    """The user's connection whose transaction the unit joins; None for a transaction of its own."""
    flushed: list[Flushed] = field(default_factory=list)
    session: Session | None = None
    """The transaction, once it has begun."""
    _undo: list[Callable[[], None]] = field(default_factory=list)
    """Callbacks that restore the objects if the transaction is rolled back."""

    def has_unwritten(self, row: Row) -> bool:
        """Return whether the row is in a write that is flushed but not yet in the transaction."""
        return self.session is None and any(row in each.rows for each in self.flushed)

    async def flush(self, operations: Sequence[Operation]) -> None:
        """Make one write of some operations: upload its parts, or write it if the transaction has begun.

        Inside the transaction, if another writer used a natural key first, only this write is undone and the
        keys are looked up again. Before the transaction nothing is written, so `begin` handles that case.
        """
        entities = [each.entity for each in operations if each.entity is not None]
        for left in reversed(range(RACES)):
            if self.session is not None:
                self._undo += restore_undecided(entities)
            await resolve_former(self._inner, entities)
            changes = await resolve(self._inner, operations, self._unseen)
            try:
                await self.send(changes, operations)
            except StorekitError as error:
                if not left or self.session is None or not raced(operations, error):
                    raise
                self.flushed.pop()
            else:
                return

    async def send(self, changes: Sequence[Change], operations: Sequence[Operation] = ()) -> None:
        """Make one write of some changes."""
        plan = await planned(self._inner, changes)
        if not plan.rows:
            return
        if self.session is not None and plan.parts:
            raise UsageError(TOO_LATE)
        rows = frozenset((row.table.name, row.ref_id) for row in plan.rows)
        flushed = Flushed(Attempt(self.context, plan), changes, operations, rows)
        try:
            # the upload also renews the leases of the writes that were flushed before
            await flushed.attempt.prepare([each.attempt.write for each in self.flushed])
        except BaseException as error:
            settled = False
            try:
                settled = await flushed.attempt.abandon_after(error)
            finally:
                if not settled:
                    flushed.remember()
            raise
        self.flushed.append(flushed)
        if self.session is not None:
            await self._write(self.session, flushed)

    async def begin(self) -> Session:
        """Begin the transaction and write all flushed writes; repeat it after a deadlock or a lost race.

        Repeating is safe because the user's SQL has not run in the transaction yet. A joined transaction is
        not repeated after a deadlock: Postgres has rolled back all of it, including what its owner did
        before.
        """
        left = RACES
        while True:
            left -= 1
            try:
                return await self._begin()
            except StorekitError as error:
                lost = [each for each in self.flushed if raced(each.operations, error)]
                deadlock = isinstance(error, RolledBack) and self.within is None
                if not left or not (lost or deadlock):
                    raise
                await self.undo()
                for each in lost:
                    await self._send_again(each)

    async def commit(self, *, lent: bool) -> None:
        """Commit the transaction."""
        assert self.session is not None  # noqa: S101 it was begun
        ids = [each.attempt.write.write_id for each in self.flushed]
        await in_transaction.commit(self.session, ids, lent=lent or self.within is not None)
        for each in self.flushed:
            each.attempt.settled()

    async def undo(self) -> None:
        """Roll the transaction back, if there is one, and restore the objects."""
        session, self.session = self.session, None
        while self._undo:
            self._undo.pop()()
        if session is not None:
            await in_transaction.end(session)

    async def give_up(self, *, abandon: bool) -> None:
        """Undo the transaction and abandon the writes; those that are not abandoned are remembered."""
        left = [*self.flushed]
        try:
            await self.undo()
            if abandon:
                while left and await left[0].attempt.abandon():
                    del left[0]
        finally:
            for each in left:
                each.remember()

    async def _begin(self) -> Session:
        await self.context.ports.ready(documents=False, blobs=False)
        session = self._new_session()
        first = self.flushed[:1]
        try:
            replies = await in_transaction.begin(session, [each.attempt.call for each in first])
        except BaseException as error:
            await in_transaction.end(session)
            await self._attribute(first, error)
            raise
        self.session = session
        for each, reply in zip(first, replies, strict=True):
            self._note(each, reply)
        for each in self.flushed[1:]:
            await self._write(session, each)
        return session

    async def _send_again(self, lost: Flushed) -> None:
        """Look up the natural keys and send the write again, in its former place among the writes."""
        place = self.flushed.index(lost)
        later = self.flushed[place + 1 :]
        del self.flushed[place:]
        try:
            if not await lost.attempt.abandon():
                lost.remember()
            await self.send(await resolve(self._inner, lost.operations, self._unseen), lost.operations)
        finally:
            self.flushed += later

    async def _write(self, session: Session, flushed: Flushed) -> None:
        try:
            reply = await in_transaction.write(session, flushed.attempt.call)
        except StorekitError as error:
            await self._attribute([flushed], error)
            raise
        self._note(flushed, reply)

    def _note(self, flushed: Flushed, reply: Json) -> None:
        attempt, changes = flushed.attempt, flushed.changes
        done = attempt.committed(visible_from(attempt.write, reply))
        self._undo += [snapshot(change.holder) for change in changes if change.holder is not None]
        note_saved(changes, attempt.write.plan, done.saved)

    async def _attribute(self, flushed: Sequence[Flushed], error: BaseException) -> None:
        if isinstance(error, StorekitError) and not isinstance(error, Unavailable):
            for each in flushed:
                await attribute(self._inner, each.changes, error)

    @property
    def _unseen(self) -> list[Operation]:
        """The operations that are flushed but not written, which a look-up therefore cannot find."""
        return [] if self.session else [one for each in self.flushed for one in each.operations]

    @property
    def _inner(self) -> Context:
        """The context for reads: in the transaction of the unit or the one to join, if there is one."""
        if self.session is None and self.within is None:
            return self.context
        return in_transaction.inside(self.context, self.session or self._new_session())

    def _new_session(self) -> Session:
        actor = self.context.actor
        return self.context.ports.ledger.session(actor.tenant, actor.name, self.within)
