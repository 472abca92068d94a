"""Carry a plan out: stage, one wave, commit; wait for or replay a write that has the same key.

The rule is the one of the write protocol: a loser never touches the winner's bytes, and nobody takes a
pending write over before its lease is over.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from storekit.errors import (
    Conflict,
    IdempotencyConflict,
    InProgress,
    NotFound,
    OutcomeUnknown,
    StorekitError,
    Unavailable,
    WriteLost,
)
from storekit.flows.calls import abandon, commit, commit_call, stage
from storekit.flows.context import Context
from storekit.flows.write.upload import Progress, nobody, upload
from storekit.model.save.plan import Plan, Write
from storekit.ports.statements import Call, Select
from storekit.trace import step

_ATTEMPTS = 3
_FIRST_POLL = timedelta(milliseconds=50)
_LONGEST_POLL = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Committed:
    """The write is visible."""

    write: Write
    now: datetime
    versions: dict[tuple[str, str], int]
    """By table and ref_id."""
    staged: dict[str, Any]
    version_ids: Sequence[str | None]
    rows: list[Any]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A former write with the same key had committed; nothing was written now."""

    rows: list[tuple[str, str, int]]


Remember = Callable[[UUID], None]
"""Told the id of a write that this process must decide before it saves the same thing again."""


async def carry_out(
    context: Context,
    plan: Plan,
    key: str | None,
    remember: Remember,
    after: Sequence[Select] = (),
    progress: Progress = nobody,
) -> Committed | Replayed:
    """Carry a plan out, whatever other writers with its key do.

    Raises:
        Conflict, NotFound: the rows are not as the plan expects; nothing is visible.
        IdempotencyConflict: the key belongs to another request.
        InProgress: another process holds the key and its lease still runs (retryable).
        WriteLost: the write was taken over three times (retryable).
        OutcomeUnknown: commit was sent and its answer was lost (retryable).
    """
    left = _ATTEMPTS
    while True:
        left -= 1
        attempt = Attempt(context, plan, key, after, progress)
        try:
            return await attempt.run()
        except WriteLost as error:
            # our own row may still hold the key
            if not await attempt.given_up(error):
                remember(attempt.write.write_id)
            if not left:
                raise
        except BaseException as error:
            if not await attempt.given_up(error):
                remember(attempt.write.write_id)
            raise


class Attempt:
    """One write: its ids are its own, so whatever becomes of it disturbs no other."""

    def __init__(
        self,
        context: Context,
        plan: Plan,
        key: str | None = None,
        after: Sequence[Select] = (),
        progress: Progress = nobody,
    ) -> None:
        self.context, self.plan, self.key, self.after = context, plan, key, after
        self.progress = progress
        self.write = Write.of(plan)
        self.staged: dict[str, Any] = {}
        self.version_ids: list[str | None] = []

    async def run(self) -> Committed | Replayed:
        """Carry it out on its own."""
        replayed = await self.prepare()
        if replayed is not None:
            return replayed
        rows: list[Any] = []

        async def finish() -> dict[str, Any]:
            answer, rows[:] = await commit(
                self.context, self.plan, self.write, self.key, self.version_ids, self.after
            )
            return answer

        reply = await _settled(self.context, self.write, self.key, finish)
        return _replayed(reply) if reply["outcome"] == "replay" else self.committed(reply, rows)

    async def prepare(self, others: Sequence[Write] = ()) -> Replayed | None:
        """Stage and upload the parts, if there are any, while `others`, staged before, are kept alive."""
        parts = self.plan.parts
        for row in self.plan.rows:
            self.context.actor.require_write(row.table)
        await self.context.ports.ready(
            documents=any(part.body is not None for part in parts),
            blobs=any(part.source is not None for part in parts),
        )
        if not parts:
            self.progress(len(self.plan.rows), len(self.plan.rows))
            return None
        reply = await _settled(self.context, self.write, self.key, self._stage)
        if reply["outcome"] == "replay":
            return _replayed(reply)
        self.staged = reply
        self.version_ids = await upload(self.context, self.plan, self.write, reply, others, self.progress)
        return None

    @property
    def call(self) -> Call:
        """The commit, to be made inside a transaction that others share."""
        return commit_call(self.context, self.plan, self.write, self.key, self.version_ids)

    def committed(self, reply: dict[str, Any], rows: list[Any]) -> Committed:
        """Read what commit answered.

        Raises:
            WriteLost: the write was taken over.
        """
        if reply["outcome"] != "committed":
            raise WriteLost(self.write.write_id, "its lease lapsed and it was taken over")
        versions = {(entity, ref_id): version for entity, ref_id, version in reply["rows"]}
        now = datetime.fromisoformat(reply["now"])
        return Committed(self.write, now, versions, self.staged, self.version_ids, rows)

    async def _stage(self) -> dict[str, Any]:
        return await stage(self.context, self.plan, self.write, self.key)

    async def given_up(self, error: BaseException) -> bool:
        """Abandon the write after a definite failure, which frees its key at once.

        An unknown outcome is never cleaned up by the writer, and a cancelled task does no more I/O: both
        are decided before the next save of the same object or key.
        """
        if not isinstance(error, StorekitError) or isinstance(error, OutcomeUnknown):
            return False
        if isinstance(error, Unavailable) and error.store == "postgres":
            return False
        return await self.abandon()

    async def abandon(self) -> bool:
        """Decide against the write, and tell whether that is known to be so."""
        if not self.staged:
            return True
        try:
            await abandon(self.context, self.write.write_id)
        except StorekitError:
            return False
        return True


async def _settled(
    context: Context, write: Write, key: str | None, ask: Callable[[], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """Ask the ledger until no other write holds the key."""
    waited, poll = timedelta(), _FIRST_POLL
    while True:
        reply = await ask()
        match reply["outcome"]:
            case "held":
                if waited >= context.ports.settings.idempotency_wait:
                    raise InProgress(str(key), waited.total_seconds())
                jittered = poll * random.uniform(0.5, 1.0)  # noqa: S311 not a secret
                delay = min(jittered, max(_FIRST_POLL, timedelta(seconds=reply["lease_left"])))
                with step("sleep"):
                    await context.ports.runtime.sleep(delay)
                waited, poll = waited + delay, min(poll * 2, _LONGEST_POLL)
            case "lost":
                raise WriteLost(write.write_id, "another write with its key was faster, or its lease lapsed")
            case "mismatch":
                raise IdempotencyConflict(str(key))
            case "missing":
                raise NotFound(reply["entity"], reply["ref_id"])
            case "conflict":
                raise Conflict(reply["entity"], reply["ref_id"], reply["expected"], reply["found"])
            case _:
                return reply


def _replayed(reply: dict[str, Any]) -> Replayed:
    return Replayed([(entity, ref_id, version) for entity, ref_id, version in reply["result"]["rows"]])
