"""Compare versions in one run: shuffled every round, judged by the median of the rounds' ratios."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

Kind = Literal["wall", "cpu"]


class Cost(NamedTuple):
    """Seconds for one job."""

    wall: float
    cpu: float
    """Of this process, all threads: the servers are processes of their own."""


Costs = Mapping[str, list[Cost]]
Variant = Callable[[], Cost]
"""Does the job some times and answers what one cost."""


def compare(variants: Mapping[str, Variant], rounds: int) -> Costs:
    """Run all variants once in each round, in an order of its own; one round more warms up."""
    costs: dict[str, list[Cost]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        names = list(variants)
        random.shuffle(names)
        for name in names:
            cost = variants[name]()
            if number:
                costs[name].append(cost)
    return costs


def times(count: int, job: Callable[[], object], *, of: int = 1) -> Variant:
    """Do a job `count` times, each of which does the work of `of`."""

    def variant() -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            job()
        done = count * of
        return Cost((time.perf_counter() - wall) / done, (time.process_time() - cpu) / done)

    return variant


def of(cost: Cost, kind: Kind) -> float:
    """Take one of the two."""
    return cost.wall if kind == "wall" else cost.cpu


def ratio(costs: Costs, base: str, other: str, kind: Kind = "wall") -> float:
    """How many times as long `base` takes as `other`."""
    pairs = zip(costs[base], costs[other], strict=True)
    return statistics.median(of(b, kind) / of(o, kind) for b, o in pairs)


def median(costs: Costs, name: str, kind: Kind = "wall") -> float:
    """Seconds for one job."""
    return statistics.median(of(cost, kind) for cost in costs[name])
