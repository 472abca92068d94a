"""Faults at every step of a flow: the steps are counted as they happen, never listed.

    points = faults.observe()
    with points:
        repository.save(first)                  # what there is to break
    for point in points.seen:
        with faults.at(point, fail):            # `fail` raises there, kills, cancels or cuts a link
            repository.save(another)

So a step is covered the day it is written. Steps of a wave run side by side: which put of a wave is the
second is a matter of chance, that there is a second one is not.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from storekit.trace import Phase, listen

When = Literal["before", "after"]
_WHEN: dict[Phase, When] = {"started": "before", "finished": "after"}


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of a flow: before or after the n-th step of that name."""

    when: When
    step: str
    ordinal: int

    def __str__(self) -> str:
        return f"{self.when} {self.step} #{self.ordinal}"


class InjectedError(Exception):
    """What `fail` raises: an error that no code can be prepared for."""


def fail() -> None:
    """Raise at a point."""
    raise InjectedError


class Points:
    """Watches the steps of its context, threads and tasks included, and acts at one of them or at none."""

    def __init__(self, target: Point | None = None, action: Callable[[], None] | None = None) -> None:
        self.seen: list[Point] = []
        self._target, self._action = target, action
        self._counts: Counter[tuple[Phase, str]] = Counter()
        self._lock = threading.Lock()
        self._listening: AbstractContextManager[None] | None = None

    @property
    def hit(self) -> bool:
        """Whether the flow came by the target at all."""
        return self._target in self.seen

    def count(self, step: str) -> int:
        """Tell how often a step was begun."""
        return self._counts["started", step]

    def __enter__(self) -> Self:
        self._listening = listen(self._hear)
        self._listening.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.__exit__(kind, error, trace)

    def _hear(self, step: str, phase: Phase) -> None:
        if phase not in _WHEN:
            return
        with self._lock:
            self._counts[phase, step] += 1
            point = Point(_WHEN[phase], step, self._counts[phase, step])
            self.seen.append(point)
        if point == self._target and self._action is not None:
            self._action()


def observe() -> Points:
    """Watch, and break nothing."""
    return Points()


def at(point: Point, action: Callable[[], None]) -> Points:
    """Do `action` at one point, on the thread that comes by it."""
    return Points(point, action)
