"""What is measured, and which goal each figure must reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from storekit.model.plan import Plan, Write
from storekit.ports import BlobRef
from tests.bench.imports import heavy_modules, import_costs, net
from tests.bench.measure import Costs, Kind, Variant, compare, median, ratio, times
from tests.bench.naive import Naive
from tests.bench.ours import Ours, OursAsync
from tests.bench.records import TENANT, WIDE, Wide

AGAIN = "naive again"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. A goal is a ratio to reach, or with `most` a cost to stay under."""

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
        """Say whether the goal is reached; a figure without one is told only."""
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
    delay: bool


Scenario = Callable[[Sides], Iterator[Figure]]


def url(sides: Sides) -> Iterator[Figure]:
    theirs, mine, count = sides.naive.save(), sides.ours.save(), 20 if sides.delay else 150
    costs = compare(
        {
            **_twice(times(count, lambda: sides.naive.url(theirs))),
            "ours": times(count, lambda: sides.ours.reports.url(mine, "content")),
            "async": sides.ours_async.times(count, lambda: sides.ours_async.reports.url(mine, "content")),
        },
        sides.rounds,
    )
    yield _against_naive("url", costs, None if sides.delay else 4.0)
    yield _against_naive("url, CPU", costs, None if sides.delay else 5.0, kind="cpu")
    yield _against_naive("url, async", costs, None, other="async")
    yield _against_naive("url, async, CPU", costs, None, other="async", kind="cpu")


def urls(sides: Sides) -> Iterator[Figure]:
    theirs, many = sides.naive.save(), [sides.ours.save() for _ in range(100)]
    single, whole = (5, 3) if sides.delay else (60, 20)
    costs = compare(
        {
            **_twice(times(single, lambda: sides.naive.url(theirs))),
            "ours": times(whole, lambda: sides.ours.reports.urls(many, "content"), of=100),
        },
        sides.rounds,
    )
    yield _against_naive("urls(100), per URL", costs, 45.0)
    yield _against_naive("urls(100), per URL, CPU", costs, None, kind="cpu")


def save(sides: Sides) -> Iterator[Figure]:
    count = 5 if sides.delay else 15
    costs = compare(
        {
            **_twice(times(count, sides.naive.save)),
            "ours": times(count, sides.ours.save),
            "async": sides.ours_async.times(count, sides.ours_async.save),
            "bound": sides.ours.bound(count),
        },
        sides.rounds,
    )
    yield _against_naive("save", costs, 2.0 if sides.delay else 1.4)
    yield _against_naive("save, CPU", costs, None, kind="cpu")
    yield _against_naive("save, async", costs, None, other="async")
    bound, goal = ratio(costs, "ours", "bound"), 1.15 if sides.delay else 1.5
    yield Figure("save / its lower bound", bound, "x", goal, most=True)


def save_many(sides: Sides) -> Iterator[Figure]:
    count = 10 if sides.delay else 40
    costs = compare(
        {
            **_twice(times(count, sides.naive.save)),
            "ours": times(1, lambda: sides.ours.save_many(200), of=200),
        },
        max(3, sides.rounds // 2),
    )
    yield _against_naive("save_many(200), per record", costs, 40.0 if sides.delay else 6.0)
    yield _against_naive("save_many(200), per record, CPU", costs, None, kind="cpu")


def sign(sides: Sides) -> Iterator[Figure]:
    ref = BlobRef("t/bench_reports/r/content/p", "v" * 32, 65536, bytes(32), "application/pdf")
    blobs = sides.ours.ports.blobs
    costs = compare(
        {
            **_twice(times(300, lambda: sides.naive.sign(ref.key, ref.version_id))),
            "ours": times(5000, lambda: blobs.sign(ref, 900, "attachment", None)),
        },
        sides.rounds,
    )
    yield _against_naive("sign, CPU", costs, 40.0, kind="cpu")


def put(sides: Sides) -> Iterator[Figure]:
    costs = compare(
        {
            **_twice(times(30, lambda: sides.naive.put("naive/put"))),
            "ours": times(30, sides.ours.put),
        },
        sides.rounds,
    )
    yield _against_naive("S3 PUT 64 KB, CPU", costs, 5.0, kind="cpu")


def model(sides: Sides) -> Iterator[Figure]:
    plan = Plan((), (), b"")

    def job() -> None:
        Wide.model_validate(WIDE)
        Write.of(plan)

    costs = compare({"once": times(5000, job), "again": times(5000, job)}, sides.rounds)
    control = ratio(costs, "once", "again", "cpu")
    yield Figure("model + ids of a save", median(costs, "once", "cpu") * 1e6, "us", 10.0, True, control)


def imports(sides: Sides) -> Iterator[Figure]:
    costs = import_costs(max(3, sides.rounds))
    control = ratio(costs, "storekit", "storekit again", "cpu")
    goals = {"pydantic": None, "storekit": 90.0, "url path": 150.0}
    for name, goal in goals.items():
        cost = net(costs, name)
        note = f"wall {cost.wall:.0f} ms"
        yield Figure(f"import {name}, net CPU", cost.cpu, "ms", goal, True, control, note)
    heavy = heavy_modules(sides.ours.ports.settings, TENANT, sides.ours.save())
    yield Figure("url imports boto3, pymongo", float(len(heavy.split())), "", 0.0, True, note=heavy)


def _twice(naive: Variant) -> dict[str, Variant]:
    return {"naive": naive, AGAIN: naive}


def _against_naive(
    what: str, costs: Costs, goal: float | None, *, kind: Kind = "wall", other: str = "ours"
) -> Figure:
    note = f"{median(costs, 'naive', kind) * 1e6:,.0f} -> {median(costs, other, kind) * 1e6:,.0f} us"
    control = ratio(costs, "naive", AGAIN, kind)
    return Figure(what, ratio(costs, "naive", other, kind), "x", goal, False, control, note)


REMOTE: Mapping[str, Scenario] = {"url": url, "urls": urls, "save": save, "save_many": save_many}
LOCAL: Mapping[str, Scenario] = {"sign": sign, "put": put, "model": model, "imports": imports}
"""Those that take CPU alone: no delay changes them."""
