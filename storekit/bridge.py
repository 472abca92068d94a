"""Run one implementation, written as a coroutine, from sync and from async code.

Flows await their ports. The ports of a sync store never suspend, so `run` finishes a flow with one `send` and
needs no event loop; async code awaits the same flow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def run(flow: Coroutine[Any, Any, T]) -> T:
    """Run a flow whose ports never suspend, and return its result.

    Raises:
        RuntimeError: a port suspended, which is a bug in its driver.
    """
    try:
        flow.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()  # a flow that suspended must still run its finally blocks
    raise RuntimeError("a storekit port suspended in sync mode; this is a bug in its driver")


async def settle(value: T | Awaitable[T]) -> T:
    """Return a value, after awaiting it if needed: one class can then use a client's sync or async form."""
    if isawaitable(value):
        return await value
    return value


async def in_thread(work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """Call blocking code from the event loop without blocking it."""
    import asyncio  # the sync API never needs it, and it takes a fifth of the import time

    return await asyncio.to_thread(work, *arguments, **keywords)
