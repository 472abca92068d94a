"""A unit of work: many records of many tables, and the user's own SQL, in one commit or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from storekit.errors import OutcomeUnknown, StorekitError, Unavailable, UsageError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.write.attempt import Attempt
from storekit.flows.write.attribution import blame
from storekit.flows.write.in_transaction import end, inside
from storekit.flows.write.operations import Asked, check, resolve
from storekit.flows.write.planning import planned
from storekit.flows.write.save import note_all
from storekit.flows.write.single import RACES, carry_out_asked, raced
from storekit.flows.write.unresolved import remember, resolve_former, undecided
from storekit.model.declare.entity import snapshot
from storekit.model.save.changes import Change, change_of
from storekit.ports.stores import AnswerLost, RolledBack, Session
from storekit.trace import step


@dataclass(slots=True, eq=False)
class _Flushed:
    """A write whose parts are in the stores."""

    attempt: Attempt
    changes: Sequence[Change]
    asked: Sequence[Asked]

    @property
    def rows(self) -> set[tuple[str, str]]:
        """Which rows it writes, by table and ref_id."""
        return {(change.table.name, change.ref_id) for change in self.changes}


@dataclass(slots=True, eq=False)
class Unit:
    """Planned by calls that do no I/O, sent by `flush`, made visible by `finish`."""

    context: Context
    within: Any = None
    asked: dict[tuple[str, str], Asked] = field(default_factory=dict)
    """What is not flushed yet, by table and ref_id."""
    named: int = 0
    sent: set[tuple[str, str]] = field(default_factory=set)
    """What is flushed and not written: it cannot be asked for again."""
    flushed: list[_Flushed] = field(default_factory=list)
    session: Session | None = None
    undo: list[Callable[[], None]] = field(default_factory=list)
    failed: BaseException | None = None
    shown: bool = False
    """Whether the user has the connection, on which he can undo what was written."""
    busy: bool = False
    committing: bool = False
    ended: bool = False

    def ask(self, asked: Asked) -> None:
        """Take one record in. No I/O.

        Raises:
            UsageError: the unit has ended, the record is in it already, or its class cannot do that.
        """
        self._require_open()
        self.context.actor.acting_on(asked.table).require_write(asked.table)
        check(asked)
        row = asked.table.name, asked.ref_id
        other = self.asked.get(row)
        if row in self.sent or (other is not None and (asked.verb, other.verb) != ("save", "save")):
            raise UsageError(f"{asked.table.name} {asked.ref_id} is in this unit already; change it once")
        if self.session is not None and asked.entity is not None:
            change = change_of(asked.entity, self.context.actor.tenant)
            if change.blobs or change.documents:
                raise UsageError(_TOO_LATE)
        asked.place = self.named if other is None else other.place
        self.named += other is None
        self.asked[row] = asked

    async def flush(self) -> None:
        """Stage and upload what was asked so far; once the transaction has begun, write it there."""
        with self._alone():
            await self._flush()

    async def connect(self) -> Any:
        """Flush, begin the transaction, and give its connection."""
        with self._alone():
            await self._flush()
            session = self.session or await self._begin_anew()
            self.shown = True
            return session.connection

    async def leave(self, error: BaseException | None) -> None:
        """End the unit: make all of it visible, or after an error nothing.

        Raises:
            OutcomeUnknown: commit was sent and its answer was lost; saving the same objects learns it first.
        """
        if error is not None:
            await self._give_up(error)
            return
        try:
            with self._alone():
                if self.session is None and self.within is None and not self.flushed:
                    # without the user's SQL it is a save like any other, and as safe to repeat
                    await carry_out_asked(self.context, list(self.asked.values()))
                else:
                    await self._commit()
        except BaseException as failure:
            await self._give_up(failure)
            raise
        self.ended = True

    async def _give_up(self, error: BaseException) -> None:
        """Undo all of it; the objects are again as they were."""
        if self.ended:
            return
        self.ended = True
        refused = isinstance(error, StorekitError) and not isinstance(error, OutcomeUnknown)
        left = [*self.flushed]
        try:
            await self._undo()
            # a cancelled task does no more I/O than it must: the next save decides
            if isinstance(error, Exception) and (refused or not self.committing):
                while left and await left[0].attempt.abandon():
                    del left[0]
        finally:
            for each in left:
                self._remember(each)

    async def _undo(self) -> None:
        """End the transaction, if there is one."""
        session, self.session = self.session, None
        while self.undo:
            self.undo.pop()()
        if session is not None:
            await end(session)

    async def _flush(self) -> None:
        asked, self.asked = list(self.asked.values()), {}
        entities = [each.entity for each in asked if each.entity is not None]
        for left in reversed(range(RACES)):
            if self.session is not None:
                self.undo += undecided(entities)
            await resolve_former(self._context, entities)
            changes = await resolve(self._context, asked, self._unseen)
            try:
                await self.send(changes, asked)
            except StorekitError as error:
                if not left or self.session is None or not raced(asked, error):
                    raise
                self.flushed.pop()  # of the transaction only this write was undone
            else:
                return

    async def send(self, changes: Sequence[Change], asked: Sequence[Asked] = ()) -> None:
        """Make one write of some changes: to the stores, or once the transaction has begun into it."""
        plan = await planned(self._context, changes)
        if not plan.rows:
            return
        if self.session is not None and plan.parts:
            raise UsageError(_TOO_LATE)
        attempt = Attempt(self.context, plan)
        flushed = _Flushed(attempt, changes, asked)
        try:
            await attempt.prepare([each.attempt.write for each in self.flushed])
        except BaseException as error:
            if not await attempt.given_up(error):
                self._remember(flushed)
            raise
        self.flushed.append(flushed)
        if self.session is None:
            self.sent |= flushed.rows
        else:
            await self._write(self.session, flushed)

    async def _begin(self) -> Session:
        await self.context.ports.ready(documents=False, blobs=False)
        session = self._new_session()
        first = self.flushed[:1]
        try:
            with step("postgres.begin"):
                replies = await calls.answered(session.begin([each.attempt.call for each in first]))
        except BaseException as error:
            await end(session)
            await self._blame(first, error)
            raise
        self.session = session
        for each, reply in zip(first, replies, strict=True):
            self._note(each, reply)
        for each in self.flushed[1:]:
            await self._write(session, each)
        self.sent.clear()
        return session

    async def _begin_anew(self) -> Session:
        """Write all there is, again after a deadlock or a race: nothing of the user's ran yet."""
        left = RACES
        while True:
            left -= 1
            try:
                return await self._begin()
            except StorekitError as error:
                lost = [each for each in self.flushed if raced(each.asked, error)]
                if not left or not (lost or (isinstance(error, RolledBack) and self.within is None)):
                    raise
                await self._undo()
                for each in lost:
                    await self._send_anew(each)

    async def _send_anew(self, lost: _Flushed) -> None:
        """Find out again what natural keys stand for; what was flushed after it stays after it."""
        place = self.flushed.index(lost)
        later = self.flushed[place + 1 :]
        del self.flushed[place:]
        try:
            if not await lost.attempt.abandon():
                self._remember(lost)
            self.sent -= lost.rows
            await self.send(await resolve(self._context, lost.asked, self._unseen), lost.asked)
        finally:
            self.flushed += later

    async def _write(self, session: Session, flushed: _Flushed) -> None:
        try:
            with step("postgres.flush"):
                (reply,) = await calls.answered(session.pipeline([flushed.attempt.call]))
        except StorekitError as error:
            await self._blame([flushed], error)
            raise
        self._note(flushed, reply)

    async def _commit(self) -> None:
        await self._flush()
        session = self.session or (await self._begin_anew() if self.flushed else None)
        if session is None:
            return
        self.committing, ids = True, [each.attempt.write.write_id for each in self.flushed]
        with step("postgres.commit"):
            try:
                await session.commit(ids if self.shown or self.within else [])
            except AnswerLost as error:
                raise OutcomeUnknown(ids[0] if ids else UUID(int=0)) from error

    async def _blame(self, flushed: Sequence[_Flushed], error: BaseException) -> None:
        if isinstance(error, StorekitError) and not isinstance(error, Unavailable):
            for each in flushed:
                await blame(self._context, each.changes, error)

    @property
    def _unseen(self) -> list[Asked]:
        """What no look-up finds yet."""
        return [] if self.session else [one for each in self.flushed for one in each.asked]

    @property
    def _context(self) -> Context:
        if self.session is None and self.within is None:
            return self.context
        return inside(self.context, self.session or self._new_session())

    def _new_session(self) -> Session:
        actor = self.context.actor
        return self.context.ports.ledger.session(actor.tenant, actor.name, self.within)

    def _note(self, flushed: _Flushed, reply: dict[str, Any]) -> None:
        done = flushed.attempt.committed(reply, [])
        self.undo += [snapshot(c.holder) for c in flushed.changes if c.holder is not None]
        note_all(flushed.changes, self.context, flushed.attempt.plan, done)

    def _remember(self, flushed: _Flushed) -> None:
        holders = [change.holder for change in flushed.changes if change.holder is not None]
        remember(self.context, holders)(flushed.attempt.write.write_id)

    def _require_open(self) -> None:
        if self.failed is not None:
            raise UsageError(f"this unit of work failed before ({self.failed}); begin another")
        if self.ended:
            raise UsageError("this unit of work has ended; begin another: with scope.transaction() as tx")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one call at a time speak, and let nothing be committed after a failure."""
        self._require_open()
        if self.busy:
            raise UsageError("this unit of work is in use by another task or thread; give each its own")
        self.busy = True
        try:
            yield
        except BaseException as error:
            self.failed = error
            raise
        finally:
            self.busy = False


_TOO_LATE = "it has parts: save it before tx.connection begins the transaction, so that no upload holds locks"
