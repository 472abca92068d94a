"""One line of the table, and its calculation from costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from storekit import trace
from tests.bench.measure import Costs, Kind, Variant, median, ratio
from tests.bench.naive import Naive
from tests.bench.ours import Ours, OursAsync

THEIRS, AGAIN = "theirs", "theirs again"


class NotRun(Exception):
    """A requirement of a scenario is missing; the other scenarios run."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. The goal is a minimum ratio, or with `most` a maximum cost."""

    what: str
    value: float
    unit: str = "x"
    goal: float | None = None
    most: bool = False
    control: float | None = None
    """The same code under two names: how far from 1.00 noise alone goes."""
    note: str = ""

    @property
    def verdict(self) -> str:
        """Return whether the goal is reached; a figure without a goal has no verdict."""
        if self.goal is None:
            return ""
        return "ok" if (self.value <= self.goal if self.most else self.value >= self.goal) else "short"


@dataclass(frozen=True, slots=True)
class Sides:
    """Both versions, over the same servers."""

    naive: Naive
    ours: Ours
    ours_async: OursAsync
    rounds: int
    quick: bool
    delay: bool


Scenario = Callable[[Sides], Iterator[Figure]]


def twice(theirs: Variant) -> dict[str, Variant]:
    """Name the other version twice, so that it is its own control."""
    return {THEIRS: theirs, AGAIN: theirs}


def few_rounds(sides: Sides) -> int:
    """Run half as many rounds: each round does hundreds of jobs."""
    return max(2 if sides.quick else 3, sides.rounds // 2)


def with_steps(figure: Figure, costs: Costs, ours: Callable[[], object]) -> Figure:
    """Add the number of jobs per second, and the trips of storekit."""
    steps: Counter[str] = Counter()
    with trace.listen(lambda name, phase: steps.update([name] if phase == "started" else [])):
        ours()
    trips = ", ".join(f"{number} {name}" for name, number in steps.items() if not name.startswith("local."))
    return replace(figure, note=f"{figure.note}; {1 / median(costs, 'ours'):,.0f}/s; {trips}")


def against(
    what: str, costs: Costs, goal: float | None, *, kind: Kind = "wall", other: str = "ours"
) -> Figure:
    """Compute how many times as long the other version takes."""
    note = f"{median(costs, THEIRS, kind) * 1e6:,.0f} -> {median(costs, other, kind) * 1e6:,.0f} us"
    control = ratio(costs, THEIRS, AGAIN, kind)
    return Figure(what, ratio(costs, THEIRS, other, kind), "x", goal, False, control, note)
