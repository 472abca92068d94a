"""The writes of a unit of work: their parts are uploaded first, then one transaction commits them.

No transaction is open while parts are uploaded, so that row locks are never held during an upload.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from storekit.errors import StorekitError, TooManyConflicts, Unavailable, UsageError
from storekit.flows.context import Context
from storekit.flows.replies import Held, Replayed, Visible, visible_from
from storekit.flows.write import in_transaction
from storekit.flows.write.attempt import Attempt
from storekit.flows.write.attribution import attribute
from storekit.flows.write.flushed import Flushed, Row
from storekit.flows.write.natural_keys import raced
from storekit.flows.write.operations import Operation, note_identities, note_requests
from storekit.flows.write.overtaken import RACES, Uploads, backoff
from storekit.flows.write.planning import planned
from storekit.flows.write.replay import Replay
from storekit.flows.write.resolve import resolve
from storekit.flows.write.unresolved import resolve_former_of_key
from storekit.model.save.change import Change
from storekit.model.save.memory import note_saved, restore_undecided, snapshot
from storekit.ports.stores import RolledBack, Session

TOO_LATE = (
    "the record has new documents or blobs; save it before the first use of tx.connection, because row locks "
    "would be held during the upload"
)


@dataclass(slots=True, eq=False)
class Writes:
    """The writes of one unit in their order, and the transaction that they are written in."""

    context: Context
    within: Any = None
    """The user's connection whose transaction the unit joins; None for a transaction of its own."""
    key: str | None = None
    """The idempotency key, until the first write takes it. That write holds the key for the whole unit: it is
    staged first, or is the first statement of the transaction, so no other write of the unit and none of the
    user's SQL runs before the key is claimed."""
    reason: str | None = None
    """The reason of the unit, which events of the user's SQL get."""
    flushed: list[Flushed] = field(default_factory=list)
    session: Session | None = None
    """The transaction, once it has begun."""
    _undo: list[Callable[[], None]] = field(default_factory=list)
    """Callbacks that restore the objects if the transaction is rolled back."""

    def has_unwritten(self, row: Row) -> bool:
        """Return whether the row is in a write that is flushed but not yet in the transaction."""
        return self.session is None and any(row in each.rows for each in self.flushed)

    async def flush(self, operations: Sequence[Operation], uploads: Uploads | None = None) -> None:
        """Make one write of some operations: upload its parts, or write it if the transaction has begun.

        If another writer was faster, the keys are looked up again. Inside the transaction only this write is
        undone for that.

        Args:
            uploads: the parts of an earlier attempt of the same write.
        """
        key, self.key = self.key, None
        entities = [each.entity for each in operations if each.entity is not None]
        pauses = backoff(self.context)
        for left in reversed(range(RACES)):
            if self.session is not None:
                self._undo += restore_undecided(entities)
            await resolve_former_of_key(self._inner, entities, key)
            changes = await resolve(self._inner, operations, self._unseen, key=key)
            try:
                await self.send(changes, operations, key, uploads)
            except StorekitError as error:
                if not raced(operations, error):
                    raise
                if not left:
                    raise TooManyConflicts(RACES) from error
            else:
                return
            if self.session is None:
                await pauses.pause()
            else:
                self.flushed.pop()  # without a pause, since the transaction holds locks

    async def send(
        self,
        changes: Sequence[Change],
        operations: Sequence[Operation] = (),
        key: str | None = None,
        uploads: Uploads | None = None,
    ) -> None:
        """Make one write of some changes, with the parts of an earlier attempt if they are the same.

        Raises:
            Replay: an earlier write with the key has committed; nothing was written.
        """
        plan = await planned(self._inner, changes)
        note_identities(operations, changes, key)
        if not plan.rows and key is None:
            return
        if self.session is not None and plan.parts:
            raise UsageError(TOO_LATE)
        rows = frozenset((row.table.name, row.ref_id) for row in plan.rows)
        flushed = Flushed(Attempt(self.context, plan, key), changes, operations, rows)
        if uploads is not None:
            await uploads.hand_over(flushed.attempt)
        try:
            # the upload also renews the leases of the writes that were flushed before
            replayed = await flushed.attempt.prepare([each.attempt.write for each in self.flushed])
        except BaseException as error:
            settled = False
            try:
                settled = await flushed.attempt.abandon_after(error)
            finally:
                if not settled:
                    flushed.remember()
            raise
        if replayed is not None:
            raise Replay(operations, replayed)
        self.flushed.append(flushed)
        if self.session is not None:
            await self._write(self.session, flushed)

    async def begin(self) -> Session:
        """Begin the transaction and write all flushed writes; repeat it after a deadlock or a lost race.

        Repeating is safe because the user's SQL has not run in the transaction yet. A joined transaction is
        not repeated after a deadlock: Postgres has rolled back all of it, including what its owner did
        before.
        """
        left, pauses = RACES, backoff(self.context)
        while True:
            left -= 1
            try:
                return await self._begin()
            except StorekitError as error:
                lost = [each for each in self.flushed if raced(each.operations, error)]
                deadlock = isinstance(error, RolledBack) and self.within is None
                if not (lost or deadlock) or (deadlock and not left):
                    raise
                await self.undo()
                if not left:
                    raise TooManyConflicts(RACES) from error
                await pauses.pause()
                for each in lost:
                    await self._send_again(each)

    async def commit(self, *, lent: bool) -> None:
        """Commit the transaction."""
        assert self.session is not None  # noqa: S101 it was begun
        ids = [each.attempt.write.write_id for each in self.flushed]
        await in_transaction.commit(self.session, ids, lent=lent or self.within is not None)
        self.context.ports.committed()
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
        first = self.flushed[:1]
        if not first:
            self.session = self._new_session()  # set first: if the trip fails, `undo` ends it
            await in_transaction.begin(self.session, [])
            return self.session
        reply = await first[0].attempt.wait_for_key(partial(self._open, first[0]))
        if isinstance(reply, Replayed):
            raise Replay(first[0].operations, reply)
        assert self.session is not None  # noqa: S101 _open began it
        self._note(first[0], reply)
        for each in self.flushed[1:]:
            await self._write(self.session, each)
        return self.session

    async def _open(self, first: Flushed) -> Visible | Replayed | Held:
        """Begin the transaction with the first write, and end it again if another write holds the key."""
        session = self._new_session()
        try:
            (found,) = await in_transaction.begin(session, [first.attempt.call])
            reply = visible_from(first.attempt.write, found)
        except BaseException as error:
            await in_transaction.end(session)
            await self._attribute([first], error)
            raise
        if isinstance(reply, Visible):
            self.session = session
        else:
            await in_transaction.end(session)
        return reply

    async def _send_again(self, lost: Flushed) -> None:
        """Look up the natural keys and send the write again, in its former place among the writes."""
        place = self.flushed.index(lost)
        later = self.flushed[place + 1 :]
        del self.flushed[place:]
        uploads = Uploads(lambda _: lost.remember(), lost.attempt)
        try:
            self.key = lost.attempt.write.key  # the write takes it again
            await self.flush(lost.operations, uploads)
            await uploads.drop()  # nothing is left to write
        finally:
            self.flushed += later
            if uploads.kept is not None:
                self.flushed.append(lost)  # to be given up with the others

    async def _write(self, session: Session, flushed: Flushed) -> None:
        try:
            reply = await in_transaction.write(session, flushed.attempt.call)
        except StorekitError as error:
            await self._attribute([flushed], error)
            raise
        self._note(flushed, visible_from(flushed.attempt.write, reply))

    def _note(self, flushed: Flushed, reply: Visible | Replayed | Held) -> None:
        attempt, changes = flushed.attempt, flushed.changes
        done = attempt.committed(reply)
        self._undo += [snapshot(change.holder) for change in changes if change.holder is not None]
        note_saved(changes, attempt.write.plan, done.saved)
        note_requests(flushed.operations, attempt.write.key)

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
        return self.context.ports.ledger.session(actor.tenant, actor.origin(self.reason), self.within)
