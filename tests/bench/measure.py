"""Compare versions in one run: shuffled in every round, judged by the median of the rounds' ratios."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

Kind = Literal["wall", "cpu"]


class Cost(NamedTuple):
    """Seconds per job."""

    wall: float
    cpu: float
    """Of this process, all threads: the servers are processes of their own."""


Costs = Mapping[str, list[Cost]]
Variant = Callable[[], Cost]
"""Runs the job some times and returns the cost of one."""


def compare(variants: Mapping[str, Variant], rounds: int) -> Costs:
    """Run all variants once per round, in random order, after one warm-up round."""
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
    """Repeat a job `count` times; each job counts as `of` jobs."""

    def variant() -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            job()
        done = count * of
        return Cost((time.perf_counter() - wall) / done, (time.process_time() - cpu) / done)

    return variant


def of(cost: Cost, kind: Kind) -> float:
    """Return one of the two."""
    return cost.wall if kind == "wall" else cost.cpu


def ratio(costs: Costs, base: str, other: str, kind: Kind = "wall") -> float:
    """Return how many times as long `base` takes as `other`."""
    pairs = zip(costs[base], costs[other], strict=True)
    return statistics.median(of(b, kind) / of(o, kind) for b, o in pairs)


def median(costs: Costs, name: str, kind: Kind = "wall") -> float:
    """Return the seconds per job."""
    return statistics.median(of(cost, kind) for cost in costs[name])
