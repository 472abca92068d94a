"""Repeat a call that other writers overtook, without uploading its parts again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from storekit.errors import TooManyConflicts
from storekit.flows.context import Context
from storekit.flows.write.attempt import Attempt, Remember
from storekit.flows.write.backoff import Backoff
from storekit.model.save.plan import Plan

T = TypeVar("T")
RACES = 10
"""Attempts of a call that other writers overtake. After each one, another writer has committed."""
_FIRST_PAUSE = timedelta(milliseconds=5)


def backoff(context: Context) -> Backoff:
    """Return the pauses between these attempts, about two seconds in all."""
    return Backoff(context, _FIRST_PAUSE)


@dataclass(slots=True, eq=False)
class Uploads:
    """The uploaded parts of an attempt whose commit was refused.

    The refused commit was rolled back, so its write is still pending and has its parts. If the next attempt
    has the same parts, it commits them in the same write with other rows: a write is committed at most once,
    whatever its rows are. Otherwise the write is abandoned, and the next attempt uploads its own parts.
    """

    remember: Remember
    kept: Attempt | None = None

    def keep(self, attempt: Attempt) -> None:
        """Keep the parts of an attempt that was refused."""
        self.kept = attempt

    async def hand_over(self, attempt: Attempt) -> None:
        """Give the kept parts to the next attempt, or abandon them if it has other parts.

        A part belongs to one row and field, since its key and its document name them. After another writer
        has inserted the record first, its row needs parts of its own, so they are uploaded once more.
        """
        kept = self.kept
        if kept is not None and _parts(kept.write.plan) == _parts(attempt.write.plan):
            self.kept = None
            attempt.take_over(kept)
        elif kept is not None:
            await self.drop()

    async def drop(self, *, abandon: bool = True) -> None:
        """Abandon the kept parts, or remember their write if that is not possible."""
        kept, self.kept = self.kept, None
        if kept is None:
            return
        settled = False
        try:
            settled = abandon and await kept.abandon()
        finally:  # a cancellation may end the call
            if not settled:
                self.remember(kept.write.write_id)


class Overtaken(Exception):
    """Another writer was faster, so the work must be repeated; its cause is the error of the commit."""


async def repeated(context: Context, work: Callable[[Uploads], Awaitable[T]], remember: Remember) -> T:
    """Do the work, and repeat it after a pause while it raises Overtaken.

    Raises:
        TooManyConflicts: other writers were faster each time.
    """
    uploads, pauses = Uploads(remember), backoff(context)
    try:
        for left in reversed(range(RACES)):
            try:
                return await work(uploads)
            except Overtaken as lost:
                if not left:
                    raise TooManyConflicts(RACES) from lost.__cause__
            await pauses.pause()
    except BaseException as error:
        # a closed coroutine cannot await
        await uploads.drop(abandon=not isinstance(error, GeneratorExit))
        raise
    raise AssertionError  # the last attempt has returned or raised


def _parts(plan: Plan) -> Sequence[Any]:
    """Return what a plan uploads, in its order."""
    rows = [(plan.rows[part.row].table.name, plan.rows[part.row].ref_id) for part in plan.parts]
    facts = [
        (part.spec, part.size, part.sha256, part.media_type, part.filename, part.expires_on, part.links)
        for part in plan.parts
    ]
    return [*zip(rows, facts, strict=True)]
