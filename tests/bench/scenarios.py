"""The scenarios, and the goal of each figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.request import urlopen

from storekit.model.save.plan import Plan, Write
from storekit.ports.stores import BlobRef
from tests.bench.batch import batch
from tests.bench.bulk import bulk, keyed
from tests.bench.figures import Figure, NotRun, Scenario, Sides, against, twice
from tests.bench.imports import heavy_modules, import_costs, net
from tests.bench.lists import lists
from tests.bench.managed import managed
from tests.bench.measure import compare, median, ratio, times
from tests.bench.records import CONTENT, TENANT, WIDE, Wide
from tests.bench.stream import stream
from tests.bench.units import unit

if TYPE_CHECKING:
    from tests.bench.peer import Peer


def url(sides: Sides) -> Iterator[Figure]:
    theirs, mine, count = sides.naive.save(), sides.ours.save(), 20 if sides.delay else 150
    costs = compare(
        {
            **twice(times(count, lambda: sides.naive.url(theirs))),
            "ours": times(count, lambda: sides.ours.reports.url(mine, "content")),
            "async": sides.ours_async.times(count, lambda: sides.ours_async.reports.url(mine, "content")),
        },
        sides.rounds,
    )
    yield against("url", costs, None if sides.delay else 4.0)
    yield against("url, CPU", costs, None if sides.delay else 5.0, kind="cpu")
    yield against("url, async", costs, None, other="async")
    yield against("url, async, CPU", costs, None, other="async", kind="cpu")


def urls(sides: Sides) -> Iterator[Figure]:
    theirs, many = sides.naive.save(), [sides.ours.save() for _ in range(100)]
    single, whole = (5, 3) if sides.delay else (60, 20)
    costs = compare(
        {
            **twice(times(single, lambda: sides.naive.url(theirs))),
            "ours": times(whole, lambda: sides.ours.reports.urls(many, "content"), of=100),
        },
        sides.rounds,
    )
    yield against("urls(100), per URL", costs, 45.0)
    yield against("urls(100), per URL, CPU", costs, None, kind="cpu")


def save(sides: Sides) -> Iterator[Figure]:
    count = 5 if sides.delay else 15
    costs = compare(
        {
            **twice(times(count, sides.naive.save)),
            "ours": times(count, sides.ours.save),
            "async": sides.ours_async.times(count, sides.ours_async.save),
            "bound": sides.ours.bound(count),
        },
        sides.rounds,
    )
    yield against("save", costs, 2.0 if sides.delay else 1.4)
    yield against("save, CPU", costs, None, kind="cpu")
    yield against("save, async", costs, None, other="async")
    bound, goal = ratio(costs, "ours", "bound"), 1.15 if sides.delay else 1.5
    yield Figure("save / its lower bound", bound, "x", goal, most=True)


def save_many(sides: Sides) -> Iterator[Figure]:
    count = 10 if sides.delay else 40
    costs = compare(
        {
            **twice(times(count, sides.naive.save)),
            "ours": times(1, lambda: sides.ours.save_many(200), of=200),
            "puts alone": times(1, lambda: sides.ours.put_many(200), of=200),
        },
        max(3, sides.rounds // 2),
    )
    yield against("save_many(200), per record", costs, 40.0 if sides.delay else 6.0)
    yield against("save_many(200), per record, CPU", costs, None, kind="cpu")
    yield Figure("save_many(200) / its puts to S3 alone", ratio(costs, "ours", "puts alone"))


def peer(sides: Sides) -> Iterator[Figure]:
    try:
        from tests.bench.peer import Peer
    except ImportError as error:
        raise NotRun(f"peer did not run: {error}; `make bench` installs it") from error
    with closing(Peer(sides.ours.ports.settings)) as theirs:
        yield from _peer_save(sides, theirs)
        yield from _peer_url(sides, theirs)


def _peer_save(sides: Sides, theirs: Peer) -> Iterator[Figure]:
    count = 5 if sides.delay else 15
    costs = compare(
        {
            **twice(times(count, theirs.save)),
            "ours": times(count, sides.ours.save_attachment),
        },
        sides.rounds,
    )
    yield against("save to two stores / peer", costs, 1.4)
    yield against("save to two stores / peer, CPU", costs, None, kind="cpu")


def _peer_url(sides: Sides, theirs: Peer) -> Iterator[Figure]:
    row_id, ref_id = theirs.save(), sides.ours.save_attachment()
    count = 20 if sides.delay else 150
    for url in theirs.url(row_id), sides.ours.attachments.url(ref_id, "content"):
        with urlopen(url) as answer:
            assert answer.read() == CONTENT
    costs = compare(
        {
            **twice(times(count, lambda: theirs.url(row_id))),
            "ours": times(count, lambda: sides.ours.attachments.url(ref_id, "content")),
        },
        sides.rounds,
    )
    # Three trips against one: with a delay the ratio is about three, whatever the code.
    yield against("url / peer", costs, None if sides.delay else 4.0)
    yield against("url / peer, CPU", costs, None, kind="cpu")


def sign(sides: Sides) -> Iterator[Figure]:
    ref = BlobRef("t/bench_reports/r/content/p", "v" * 32, 65536, bytes(32), "application/pdf")
    blobs = sides.ours.ports.blobs
    costs = compare(
        {
            **twice(times(300, lambda: sides.naive.sign(ref.key, ref.version_id))),
            "ours": times(5000, lambda: blobs.sign(ref, 900, "attachment", None)),
        },
        sides.rounds,
    )
    yield against("sign, CPU", costs, 40.0, kind="cpu")


def put(sides: Sides) -> Iterator[Figure]:
    costs = compare(
        {
            **twice(times(30, lambda: sides.naive.put("naive/put"))),
            "ours": times(30, sides.ours.put),
        },
        sides.rounds,
    )
    yield against("S3 PUT 64 KB, CPU", costs, 5.0, kind="cpu")


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


REMOTE: Mapping[str, Scenario] = {
    "url": url,
    "urls": urls,
    "save": save,
    "save_many": save_many,
    "bulk": bulk,
    "keyed": keyed,
    "unit": unit,
    "managed": managed,
    "peer": peer,
}
LOCAL: Mapping[str, Scenario] = {
    "sign": sign,
    "put": put,
    "model": model,
    "imports": imports,
    "stream": stream,
    "batch": batch,
    "lists": lists,
}
"""Scenarios of CPU, memory or server time, which a delay does not change."""
