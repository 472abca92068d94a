"""Pauses between the attempts of a call that other writers overtake."""

from __future__ import annotations

import random
from datetime import timedelta

from storekit.flows.context import Context
from storekit.trace import step

_LONGEST = timedelta(seconds=1)


class Backoff:
    """Pauses that double each time and are random, so that many waiting calls do not ask at the same moment.

    The longest pause is one second.
    """

    def __init__(self, context: Context, first: timedelta) -> None:
        self._runtime = context.ports.runtime
        self._next = first

    async def pause(self, most: timedelta = _LONGEST) -> timedelta:
        """Wait, at most for `most`, and return how long."""
        delay = min(self._next * random.uniform(0.5, 1.0), most)  # noqa: S311 not a secret
        with step("sleep"):
            await self._runtime.sleep(delay)
        self._next = min(self._next * 2, _LONGEST)
        return delay
