"""Execute a plan: stage, upload all parts in one wave, commit.

This is the write protocol. Each attempt has its own ids, so an attempt that lost a race never overwrites the
bytes of the attempt that won. A pending write may be taken over only after its lease has expired: an earlier
takeover would be safe too, but then two writers of one key could abort each other for ever and waste their
uploads.

The conditions and their order were checked with a model of all interleavings (16.6 million states). Each of
the 27 variants of the model that omit one condition broke an invariant, so no condition is redundant.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from storekit.errors import (
    Conflict,
    ConstraintViolation,
    InProgress,
    NotFound,
    OutcomeUnknown,
    StorekitError,
    Unavailable,
    WriteLost,
)
from storekit.flows.calls import abandon, commit, commit_call, stage
from storekit.flows.context import Context
from storekit.flows.replies import Held, Json, Replayed, Staged, Visible
from storekit.flows.write.backoff import Backoff
from storekit.flows.write.upload import Progress, upload
from storekit.model.save.memory import Saved
from storekit.model.save.plan import PartPlan, Plan, Write
from storekit.ports.statements import Call, Select
from storekit.ports.stores import StoredPart

R = TypeVar("R", Staged, Visible)
_ATTEMPTS = 3
"""Attempts before WriteLost is raised, each with an upload of all parts.

A write is taken over only if it was not renewed for a whole lease, for example because the machine was
suspended. A process to which that happens three times in one call is too slow for its lease.
"""
_FIRST_POLL = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True)
class Committed:
    """The write is visible."""

    saved: Saved
    rows: Sequence[list[Json]]
    """The rows of each statement of `after`."""


_REFUSED = (Conflict, NotFound, ConstraintViolation)
"""Errors after which the write is still pending: the commit was rolled back as a whole."""


class Keeper(Protocol):
    """Keeps the uploaded parts of a refused attempt for the next one."""

    def keep(self, attempt: Attempt) -> None:
        """Keep the parts of an attempt that was refused."""

    async def hand_over(self, attempt: Attempt) -> None:
        """Give the kept parts to the next attempt, or abandon them if it has other parts."""


Remember = Callable[[UUID], None]
"""Called with the id of a write that this process must decide before it saves the same thing again."""


async def carry_out(
    context: Context,
    plan: Plan,
    key: str | None,
    remember: Remember,
    after: Sequence[Select] = (),
    progress: Progress | None = None,
    uploads: Keeper | None = None,
) -> Committed | Replayed:
    """Execute a plan, and repeat it if another writer takes the write over.

    Args:
        uploads: keeps the uploaded parts if the commit is refused, for the next plan of the same call.

    Raises:
        Conflict, NotFound: the rows are not as the plan expects; nothing was committed.
        IdempotencyConflict: the key belongs to another request.
        InProgress: another process holds the key and its lease has not expired (retryable).
        WriteLost: the write was taken over three times (retryable).
        OutcomeUnknown: the connection broke after commit was sent (retryable).
    """
    left = _ATTEMPTS
    while True:
        left -= 1
        attempt = Attempt(context, plan, key, after, progress)
        if uploads is not None:
            await uploads.hand_over(attempt)
        try:
            return await attempt.run()
        except BaseException as error:
            if uploads is not None and attempt.staged is not None and isinstance(error, _REFUSED):
                uploads.keep(attempt)
                raise
            settled = False
            try:
                # also after WriteLost: the row of this attempt may still hold the key, and the next attempt
                # would wait for it
                settled = await attempt.abandon_after(error)
            finally:  # a second cancellation may end the call
                if not settled:
                    remember(attempt.write.write_id)
            if not left or not isinstance(error, WriteLost) or context.ports.unresolved.closed:
                raise


class Attempt:
    """One write, from its fresh ids to its commit."""

    def __init__(
        self,
        context: Context,
        plan: Plan,
        key: str | None = None,
        after: Sequence[Select] = (),
        progress: Progress | None = None,
    ) -> None:
        self.context, self.after, self.progress = context, after, progress
        self.write = Write.of(plan, key)
        self.staged: Staged | None = None
        self._sent = False
        """Whether the write may be in the ledger as pending."""
        self.version_ids: list[str | None] = []

    async def run(self) -> Committed | Replayed:
        """Execute the write in its own transaction."""
        replayed = await self.prepare()
        if replayed is not None:
            return replayed
        reply = await self.wait_for_key(self._commit)
        self.settled()
        return reply if isinstance(reply, Replayed) else self.committed(reply)

    def settled(self) -> None:
        """Forget that the write is pending: it is committed, or another write has its key."""
        self.context.ports.unresolved.end(self.write.write_id)

    async def prepare(self, others: Sequence[Write] = ()) -> Replayed | None:
        """Stage and upload the parts, if there are any, and renew the leases of `others` meanwhile."""
        if self.staged is not None:
            return None  # an earlier attempt has uploaded them
        plan = self.write.plan
        for row in plan.rows:
            self.context.actor.require_write(row.table)
        # a missing setting must be found before the write is staged, not in the middle of its uploads
        await self.context.ports.ready(
            documents=any(part.body is not None for part in plan.parts),
            blobs=any(part.source is not None for part in plan.parts),
        )
        if not plan.parts:
            # nothing is staged: commit claims the write itself, which saves a trip of about 0.4 ms
            if self.progress is not None:
                self.progress(len(plan.rows), len(plan.rows))
            return None
        self.context.ports.unresolved.begin(self.context.actor, self.write.write_id)
        self._sent = True
        reply = await self.wait_for_key(self._stage)
        if isinstance(reply, Replayed):
            self.settled()
            return reply
        self.staged = reply
        self.version_ids = await upload(self.context, self.write, reply, others, self.progress)
        return None

    def take_over(self, former: Attempt) -> None:
        """Commit in the write of an earlier attempt, which has uploaded the same parts."""
        self.write = replace(former.write, plan=self.write.plan)
        self.staged, self.version_ids, self._sent = former.staged, former.version_ids, former._sent

    @property
    def call(self) -> Call:
        """The call that commits the write, for a transaction that contains other writes too."""
        return commit_call(self.context, self.write, self.version_ids)

    def committed(self, reply: Visible | Replayed | Held) -> Committed:
        """Return what the commit has stored.

        Raises:
            WriteLost: the write was not committed.
        """
        if not isinstance(reply, Visible):
            raise WriteLost(
                self.write.write_id, "its lease (STOREKIT_LEASE) expired and another process took it over"
            )
        actor, parts = self.context.actor, tuple(map(self._stored, range(len(self.write.part_ids))))
        return Committed(Saved(actor.tenant, actor.name, reply.now, reply.versions, parts), reply.rows)

    async def abandon_after(self, error: BaseException) -> bool:
        """Abandon the write after a failure or a cancellation, which frees its key at once.

        A cancelled task does this one trip more: without it, another process would wait for the lease.
        Returns False if the write may still be pending or committed. If Postgres cannot be reached, it is not
        abandoned here: the next save of the same object or key settles it, or closing the store. If nothing
        does, it ends with its lease.
        """
        if isinstance(error, OutcomeUnknown | GeneratorExit):  # a closed coroutine cannot await
            return False
        if isinstance(error, Unavailable) and error.store == "postgres":
            return False
        refused = not (self._sent and isinstance(error, Unavailable))
        if self.staged is None and isinstance(error, StorekitError) and refused:
            self.settled()
            return True  # nothing is in the ledger: the failed call was rolled back
        # without parts only the commit was sent, and only a lost reply leaves it undecided
        return self._sent and await self.abandon()

    async def abandon(self) -> bool:
        """Abort the write, and return whether it is known to be aborted."""
        if not self._sent:
            return True  # without parts nothing is in the ledger: the failed commit was rolled back
        try:
            return await abandon(self.context, self.write.write_id) == "aborted"
        except StorekitError:
            return False

    async def _stage(self) -> Staged | Replayed | Held:
        return await stage(self.context, self.write)

    async def _commit(self) -> Visible | Replayed | Held:
        return await commit(self.context, self.write, self.version_ids, self.after)

    async def wait_for_key(self, ask: Callable[[], Awaitable[R | Replayed | Held]]) -> R | Replayed:
        """Call the ledger until no other write holds the key, at most `settings.idempotency_wait`.

        Each pause is at most the rest of the lease of the other write, after which this write can take the
        key over.

        Raises:
            InProgress: the other write still holds the key.
        """
        waited, pauses = timedelta(), Backoff(self.context, _FIRST_POLL)
        while isinstance(reply := await ask(), Held):
            if waited >= self.context.ports.settings.idempotency_wait:
                raise InProgress(str(self.write.key), waited.total_seconds())
            waited += await pauses.pause(max(_FIRST_POLL, reply.lease_left))
        return reply

    def _stored(self, i: int) -> StoredPart:
        assert self.staged is not None  # noqa: S101 there are parts
        part: PartPlan = self.write.plan.parts[i]
        staged = self.staged.parts[i]
        return StoredPart(
            self.write.part_ids[i],
            staged.key,
            self.version_ids[i],
            part.size,
            part.sha256.hex(),
            part.media_type,
            part.filename,
            staged.expires_on,
            expired=False,
            write_id=self.write.write_id,
        )
