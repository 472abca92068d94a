"""One coroutine, two drives: how a synchronous caller runs a flow to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def run(flow: Coroutine[Any, Any, T]) -> T:
    """Drive a flow whose ports never suspend to its end."""
    try:
        flow.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()
    raise RuntimeError("a storekit port suspended in sync mode; this is a bug in its driver")


async def settle(value: T | Awaitable[T]) -> T:
    """Take a value, or await it: lets one class serve a client's sync and async twins."""
    if isawaitable(value):
        return await value
    return value


async def in_thread(work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """Call blocking code from the event loop without blocking it."""
    import asyncio  # the sync API never needs it, and it takes a fifth of the import time

    return await asyncio.to_thread(work, *arguments, **keywords)
