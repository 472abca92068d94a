"""Many records at once: saved, or distinguished by their natural key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from storekit import Store
from storekit.api.scope import Scope
from tests.bench.figures import Figure, Sides, against, few_rounds, twice, with_steps
from tests.bench.measure import compare, times
from tests.bench.naive_rows import NaiveRows
from tests.bench.records import ACTOR, SMALL, TENANT, Account, Managed, Report, account, accounts, report

_KNOWN = 500


def bulk(sides: Sides) -> Iterator[Figure]:
    """Save batches of records with columns only, then of records with a document and 2 KB of content."""
    with Store.open(sides.ours.ports.settings) as store:
        scope = store.scope(tenant=TENANT, actor=ACTOR)
        for count in 1, 200, 5_000:
            yield _rows(sides, scope, count)
        for count in 1, 200:
            yield _records(sides, scope, count)


def _rows(sides: Sides, scope: Scope, count: int) -> Figure:
    naive, kept = NaiveRows(sides.naive.pool), scope.repository(Managed)
    theirs = min(count, 50) if sides.delay else count  # each row costs a trip

    def ours() -> None:
        kept.save_many([Managed(title="Q3", pages=12) for _ in range(count)])

    costs = compare(
        {
            **twice(times(_repeats(theirs), lambda: naive.save_many(theirs), of=theirs)),
            "ours": times(_repeats(count), ours, of=count),
        },
        few_rounds(sides),
    )
    return with_steps(against(f"save_many({count:,}) of rows, per record", costs, None), costs, ours)


def _records(sides: Sides, scope: Scope, count: int) -> Figure:
    kept = scope.repository(Report)
    theirs = min(count, 10 if sides.delay else 40)

    def ours() -> None:
        kept.save_many([report(SMALL) for _ in range(count)])

    costs = compare(
        {
            **twice(times(_repeats(theirs), lambda: sides.naive.save_many(theirs, SMALL), of=theirs)),
            "ours": times(_repeats(count), ours, of=count),
        },
        few_rounds(sides),
    )
    return with_steps(against(f"save_many({count:,}) with parts, per record", costs, None), costs, ours)


def keyed(sides: Sides) -> Iterator[Figure]:
    """Upsert and insert_ignore a thousand accounts, half of which exist."""
    naive = NaiveRows(sides.naive.pool)
    with Store.open(sides.ours.ports.settings) as store:
        kept = store.scope(tenant=TENANT, actor=ACTOR).repository(Account)
        known = [number for number, *_ in accounts(_KNOWN)]
        naive.upsert(accounts(0, known))
        kept.upsert(account(*each) for each in accounts(0, known))
        yield _keyed(sides, "upsert", known, naive.upsert, kept.upsert)
        yield _keyed(sides, "insert_ignore", known, naive.insert_ignore, kept.insert_ignore)


def _keyed(
    sides: Sides, verb: str, known: list[str], theirs: Callable[[Any], object], ours: Callable[[Any], object]
) -> Figure:
    def mine() -> None:
        ours([account(*each) for each in accounts(_KNOWN, known)])

    costs = compare(
        {
            **twice(times(1, lambda: theirs(accounts(_KNOWN, known)), of=2 * _KNOWN)),
            "ours": times(1, mine, of=2 * _KNOWN),
        },
        few_rounds(sides),
    )
    return with_steps(against(f"{verb}({2 * _KNOWN:,}), half new, per record", costs, None), costs, mine)


def _repeats(count: int) -> int:
    """Repeat a short job, so that it can be timed."""
    return max(1, 10 // count)
