"""Inject faults at every step of a call. The steps are recorded as they happen, not listed by hand.

Example:
    with faults.observe() as points:
        repository.save(first)                  # records the steps
    for point in points.seen:
        with faults.at(point, faults.fail):     # or any function that kills, cancels or cuts a connection
            repository.save(another)

A new step is therefore covered without changing the tests. The puts of a wave run in parallel, so which of
them is counted as the second one varies.
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
    """A moment in a call: before or after the n-th step of a name.

    Example:
        assert str(Point("before", "s3.put", 2)) == "before s3.put #2"
    """

    when: When
    step: str
    ordinal: int

    def __str__(self) -> str:
        return f"{self.when} {self.step} #{self.ordinal}"


class InjectedError(Exception):
    """The error that `fail` raises. storekit has no special handling for it.

    Example:
        with faults.at(point, faults.fail), pytest.raises(faults.InjectedError):
            repository.save(record)
    """


def fail() -> None:
    """Raise `InjectedError`; the action to pass to `at`.

    Example:
        with faults.at(Point("after", "s3.put", 1), faults.fail): ...
    """
    raise InjectedError


class Points:
    """Records the steps inside its `with` block, including those of threads and tasks, and can call a
    function at one.

    Example:
        with faults.observe() as points:
            repository.save(record)
        assert points.count("postgres.commit") == 1
    """

    def __init__(self, target: Point | None = None, action: Callable[[], None] | None = None) -> None:
        self.seen: list[Point] = []
        self._target, self._action = target, action
        self._counts: Counter[tuple[Phase, str]] = Counter()
        self._lock = threading.Lock()
        self._listening: AbstractContextManager[None] | None = None

    @property
    def hit(self) -> bool:
        """Whether the target was reached."""
        return self._target in self.seen

    def count(self, step: str) -> int:
        """Return how often a step was started."""
        return self._counts["started", step]

    def __enter__(self) -> Self:
        self._listening = listen(self._record)
        self._listening.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.__exit__(kind, error, trace)

    def _record(self, step: str, phase: Phase) -> None:
        if phase not in _WHEN:
            return
        with self._lock:
            self._counts[phase, step] += 1
            point = Point(_WHEN[phase], step, self._counts[phase, step])
            self.seen.append(point)
        # Outside the lock: the action may kill the process, or wait for another step.
        if point == self._target and self._action is not None:
            self._action()


def observe() -> Points:
    """Record the steps and inject nothing.

    Example:
        with faults.observe() as points:
            repository.save(record)
        assert [point.step for point in points.seen if point.when == "before"] == ["postgres.commit"]
    """
    return Points()


def at(point: Point, action: Callable[[], None]) -> Points:
    """Call `action` at one point, in the thread that reaches it.

    Example:
        with faults.at(Point("before", "postgres.commit", 1), faults.fail):
            repository.save(record)
    """
    return Points(point, action)
