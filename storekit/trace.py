"""The one seam around every port call: logs, spans, metrics, counts and faults hang on it.

A listener is called with the step's name and its phase. Raising in a listener fails the step, which is
how fault tests work; production code holds no switches for them.
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
    """Call `listener(step, phase)` for every step taken in this context.

    Threads and tasks that a flow starts inherit it, so a listener must be thread-safe.

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
    """Mark one port call, as a context manager. The name is `store.verb`."""

    __slots__ = ("_heard", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._heard = _listeners.get()

    def __enter__(self) -> None:
        for listener in self._heard:
            listener(self.name, "started")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, StorekitError) and error.step is None:
            error.step = self.name
        for listener in self._heard:
            listener(self.name, "failed" if kind else "finished")
