"""A unit of work: records of many tables, and the user's own SQL, in one commit or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

from storekit.errors import OutcomeUnknown, StorekitError, UsageError
from storekit.flows.context import Context
from storekit.flows.write.flushed import Row
from storekit.flows.write.operations import Operation
from storekit.flows.write.reason import check_reason
from storekit.flows.write.replay import BlockReplayed, Replay, take_stored
from storekit.flows.write.save import check_key
from storekit.flows.write.single import carry_out_operations
from storekit.flows.write.writes import TOO_LATE, Writes
from storekit.model.save.changes import change_of


class Phase(Enum):
    """The phase of a unit of work. Every call requires PLANNING or OPEN."""

    PLANNING = "planning"
    """No transaction. `add` plans, `flush` stages and uploads."""
    OPEN = "open"
    """The transaction has begun and the user has its connection. `flush` writes in it. New parts are
    rejected, because row locks would be held during their upload."""
    COMMITTING = "committing"
    """The commit has been sent. If its reply is lost, the outcome is unknown."""
    FAILED = "failed"
    """A call failed. The unit can no longer be committed; `leave` undoes all of it."""
    ENDED = "ended"
    """The unit is committed or undone."""


_NEXT = {
    # PLANNING to COMMITTING: the user never asked for the connection. PLANNING to ENDED: there was nothing to
    # write, or a single write, which needs no transaction of the unit
    Phase.PLANNING: {Phase.OPEN, Phase.COMMITTING, Phase.FAILED, Phase.ENDED},
    Phase.OPEN: {Phase.COMMITTING, Phase.FAILED, Phase.ENDED},
    Phase.COMMITTING: {Phase.FAILED, Phase.ENDED},
    Phase.FAILED: {Phase.ENDED},
    Phase.ENDED: set[Phase](),
}


_REPEATABLE = {"save", "advance"}
"""Operations that can be planned again for the same object: the flush writes its current values."""


class Unit:
    """A unit of work: `add` plans without I/O, `flush` uploads, `leave` commits."""

    def __init__(
        self, context: Context, within: Any = None, key: str | None = None, reason: str | None = None
    ) -> None:
        check_key(key)
        check_reason(reason)
        self.key = key
        if key is not None and within is not None:
            raise UsageError(
                "a unit that joins your transaction takes no idempotency key, because your commit decides "
                "when the key is used; pass the key to a unit that begins its own transaction"
            )
        self.context = context
        self.phase = Phase.PLANNING
        self.writes = Writes(context, within, key, reason)
        self.replayed = False
        """Whether an earlier unit with the same key has committed, so that this one wrote nothing."""
        self._reason = reason
        self._planned: dict[Row, Operation] = {}
        """The operations that are not flushed yet."""
        self._named = 0
        """The number of records that were added, which is the place of the next one."""
        self._failure: BaseException | None = None
        self._in_doubt = False
        """Whether the outcome of the commit is unknown."""
        self._busy = False

    def add(self, operation: Operation) -> None:
        """Plan an operation. No I/O.

        Saving an object that is planned already replaces the earlier operation: the flush writes the current
        values.

        Raises:
            UsageError: the unit has ended or contains the record already, or the record has new parts and the
                transaction has begun.
            ValidationError: the transaction has begun, and the object cannot be stored.
        """
        self._require_usable()
        self.context.actor.require_write(operation.table)
        operation.reason = self._reason if operation.reason is None else operation.reason
        check_reason(operation.reason, operation.entity_class)
        row = operation.table.name, operation.ref_id
        earlier = self._planned.get(row)
        again = earlier is not None and (operation.verb != earlier.verb or operation.verb not in _REPEATABLE)
        if again or (self.writes.flushed and self.writes.has_unwritten(row)):
            raise UsageError(f"{row[0]} {row[1]} is already in this unit of work; change it only once")
        if self.phase is Phase.OPEN and operation.entity is not None:
            change = change_of(operation.entity, self.context.actor.tenant)
            if change.blobs or change.documents:
                raise UsageError(TOO_LATE)
        operation.place = self._named if earlier is None else earlier.place
        self._named += earlier is None
        self._planned[row] = operation

    async def flush(self) -> None:
        """Stage and upload what is planned so far, or write it in the transaction once that has begun."""
        async with self._alone():
            await self._flush()

    async def connect(self) -> Any:
        """Flush, begin the transaction if it has not begun, and return its connection.

        With a key, a write is made even if nothing was planned: it claims the key before the user's SQL runs.
        """
        async with self._alone():
            await self._flush(claim=self.writes.key is not None)
            session = self.writes.session
            if session is None:
                session = await self.writes.begin()
                self._require_usable()
                self._enter(Phase.OPEN)
            return session.connection

    async def leave(self, error: BaseException | None) -> bool:
        """End the unit: commit it, or undo it after an error.

        Returns:
            Whether there is no error to raise: a `BlockReplayed` is none.

        Raises:
            OutcomeUnknown: the connection broke after commit was sent; the next save of the same objects
                finds out the outcome.
        """
        if error is not None:
            await self._give_up(error)
            return self.replayed and isinstance(error, BlockReplayed)
        if self.replayed:
            return True  # the block went on without the unit
        try:
            async with self._alone():
                await self._finish()
        except BlockReplayed:
            return True
        except BaseException as failure:
            await self._give_up(failure)
            raise
        self._enter(Phase.ENDED)
        return True

    async def _finish(self) -> None:
        if self.phase is Phase.PLANNING and self.writes.within is None and not self.writes.flushed:
            # without the user's SQL the unit is one ordinary save: fewer trips, and safe to repeat
            operations = list(self._planned.values())
            replayed = await carry_out_operations(self.context, operations, self.writes.key)
            if replayed is not None:
                raise Replay(operations, replayed)
            return
        await self._flush()
        lent = self.phase is Phase.OPEN
        if not lent:
            if not self.writes.flushed:
                return
            await self.writes.begin()
        self._enter(Phase.COMMITTING)
        await self.writes.commit(lent=lent)

    async def _flush(self, *, claim: bool = False) -> None:
        operations, self._planned = list(self._planned.values()), {}
        if operations or claim:
            await self.writes.flush(operations)
            self._require_usable()  # another task may have left the unit meanwhile

    async def _give_up(self, error: BaseException) -> None:
        """Undo the unit and restore the objects.

        A write whose commit has an unknown outcome is not abandoned here: the next save of the objects
        settles it, or closing the store.
        If a call of another task is running, that call undoes the unit when it ends: only then is its work
        complete.
        """
        if self.phase is Phase.ENDED:
            return
        self._enter(Phase.ENDED)
        if not self._busy:
            await self.writes.give_up(abandon=_can_abandon(error) and not self._in_doubt)

    async def _end_replayed(self, replay: Replay) -> None:
        """End the unit and its block: an earlier unit with the same key has committed."""
        await self.writes.give_up(abandon=True)
        await take_stored(self.context, replay.operations, replay.done, self.key)
        self.replayed = True
        self._enter(Phase.ENDED)
        raise BlockReplayed

    def _require_usable(self) -> None:
        if self._failure is not None:
            raise UsageError(f"this unit of work failed before ({self._failure}); begin another")
        if self.phase is Phase.ENDED:
            raise UsageError("this unit of work has ended; begin another: with scope.transaction() as tx")

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Allow one call at a time, and none after a failure.

        After a failed call a part of the planned operations may be missing, so a later commit would be
        incomplete.
        """
        self._require_usable()
        if self._busy:
            raise UsageError("this unit of work is in use by another task or thread; give each its own")
        self._busy = True
        try:
            try:
                yield
            except Replay as replay:
                await self._end_replayed(replay)
        except BlockReplayed:
            raise
        except BaseException as error:
            if self.phase is Phase.ENDED:
                await self.writes.give_up(abandon=_can_abandon(error))
                raise
            # COMMIT is the last statement of its trip, so after any error response it has not taken effect.
            # Only a lost response leaves that open, and it is raised as OutcomeUnknown.
            refused = isinstance(error, StorekitError) and not isinstance(error, OutcomeUnknown)
            self._failure, self._in_doubt = error, self.phase is Phase.COMMITTING and not refused
            self._enter(Phase.FAILED)
            raise
        finally:
            self._busy = False

    def _enter(self, phase: Phase) -> None:
        assert phase in _NEXT[self.phase], (self.phase, phase)  # noqa: S101 a bug of this file
        self.phase = phase


def _can_abandon(error: BaseException) -> bool:
    return not isinstance(error, GeneratorExit)  # a closed coroutine cannot await
