"""Report every call of a store to listeners: for logs, spans, metrics, counts of trips and injected faults.

A listener is called with the name of the step and its phase. An exception in a listener fails the step. Fault
tests inject their faults this way, so the code contains no switches for tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Literal

from storekit.errors import StorekitError

Phase = Literal["started", "finished", "failed"]
Listener = Callable[[str, Phase], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("storekit_listeners", default=())


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Call `listener(step, phase)` for every step within the `with` block.

    Threads and tasks that a flow starts inherit the listener, so it must be thread-safe.

    >>> seen = []
    >>> with listen(lambda name, phase: seen.append((name, phase))):
    ...     with step("postgres.stage"):
    ...         pass
    >>> seen
    [('postgres.stage', 'started'), ('postgres.stage', 'finished')]
    """
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


class step:
    """Context manager around one call of a store; the name is `store.verb`, as in "s3.put"."""

    __slots__ = ("_listeners", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        # read once: the finish must reach the listeners that heard the start
        self._listeners = _listeners.get()

    def __enter__(self) -> None:
        for listener in self._listeners:
            listener(self.name, "started")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # steps may be nested: the innermost one has failed, and it sees the error first
        if isinstance(error, StorekitError) and error.step is None:
            error.step = self.name
        for listener in self._listeners:
            listener(self.name, "failed" if kind else "finished")
