"""Move committed events to the log, for as long as the process works as a relay."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from storekit.errors import StorekitError, Unavailable
from storekit.flows.context import Context
from storekit.ports.statements import Work
from storekit.ports.stores import AnswerLost
from storekit.trace import step

Pause = Callable[[timedelta], Awaitable[None]]
"""Waits, at most for this time: it ends at once if this process commits, or stops."""

LEASE = timedelta(seconds=5)
"""How long other relays wait for a relay that has died."""
PUBLISH = timedelta(seconds=1)
"""How often an idle relay renews its lease, and publishes up to when the log is complete."""
TIMEOUT = timedelta(seconds=5)
"""The longest time of one statement in the server."""
BATCH = 1000
"""Events of one move, which takes about 40 ms."""
_FIRST, _LONGEST = timedelta(milliseconds=20), timedelta(milliseconds=250)
_AFTER_ERROR = timedelta(seconds=5)
_CHANCE = random.Random()  # noqa: S311 not a secret
"""Its own: a relay beside a test must not change the random numbers that the program has seeded."""


@dataclass(slots=True)
class Sequencer:
    """One relay. `run` works until it is stopped; errors of the server are kept and tried again."""

    context: Context
    holder: str
    """The name of this process in the lease; each has its own."""
    pause: Pause
    stopped: Callable[[], bool]
    error: StorekitError | None = None
    """The error of the last cycle; None if it succeeded."""
    leading: bool = False
    moved: int = 0
    _idle: timedelta = field(default=_FIRST)
    _since: timedelta = field(default=PUBLISH)
    """How long ago the last cycle was."""

    async def run(self) -> None:
        """Move events until stopped, then end the lease."""
        while not self.stopped():
            try:
                delay = await self._turn()
                self.error = None
            except StorekitError as error:
                self.error, self.leading = error, False
                self._idle = min(max(self._idle, _LONGEST) * 2, _AFTER_ERROR)
                delay = self._idle
            if delay and not self.stopped():
                delay *= _CHANCE.uniform(0.5, 1.0)
                await self.pause(delay)
                self._since += delay
        if self.leading:
            try:
                await self.ask("resign", self.holder)
            except StorekitError:
                return  # the lease ends by itself

    async def _turn(self) -> timedelta:
        """Work once, and return how long to wait."""
        if self.leading and self._since < PUBLISH and not await self.ask("waiting"):
            self._idle = min(self._idle * 2, _LONGEST)
            return self._idle
        reply = await self.ask("relay", self.holder, LEASE, BATCH)
        self._since, self._idle = timedelta(), _FIRST
        self.leading = reply["term"] is not None
        if not self.leading:
            return LEASE / 2
        self.moved += reply["moved"]
        if reply["room"] < reply["partition_size"] / 2:
            await self.ask("add_partition")
        return timedelta() if reply["more"] else _FIRST

    async def ask(self, name: str, *values: Any) -> Any:
        """Call a function of the worker. One trip."""
        return await work(self.context, Work(name, values, TIMEOUT))


async def work(context: Context, statement: Work) -> Any:
    """Call a function of the worker. One trip.

    Raises:
        Unavailable: the connection broke, or the server ended the call; the call can be repeated.
    """
    await context.ports.ready(documents=False, blobs=False)
    actor = context.actor
    with step(f"postgres.{statement.name}"):
        try:
            (reply,) = await context.ports.ledger.pipeline(actor.tenant, actor.name, [statement])
        except AnswerLost as error:
            raise Unavailable("postgres", "the connection broke") from error
    return reply
