"""Time of a page of `find` in tables of very different length, compared with OFFSET by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from storekit import Store
from tests.bench.figures import AGAIN, Figure, Sides, against, twice
from tests.bench.listings import LISTINGS, UNSERVED, Listing, Naive, Ours
from tests.bench.measure import Costs, compare, median, ratio, times
from tests.bench.tickets import CLASSES, QUICK_ROWS, ROWS, analyze, fill

_FLAT = 1.3


def lists(sides: Sides) -> Iterator[Figure]:
    """Fill the tables, then measure without statistics and with fresh ones."""
    settings, counts = sides.ours.ports.settings, QUICK_ROWS if sides.quick else ROWS
    fill(settings, counts)
    with closing(Naive(settings)) as naive, Store.open(settings) as store:
        places = {
            listing: [Ours(store, naive, listing, *each) for each in zip(CLASSES, counts, strict=True)]
            for listing in (*LISTINGS, UNSERVED)
        }
        yield from _growths(sides, places, counts, "unanalysed")
        analyze(settings)
        yield from _growths(sides, places, counts, "analysed")
        for listing in LISTINGS:
            yield _beside_offset(sides, naive, listing, places[listing][-1], counts[-1])


def _growths(
    sides: Sides, places: dict[Listing, list[Ours]], counts: tuple[int, ...], statistics: str
) -> Iterator[Figure]:
    for listing, (few, more, most) in places.items():
        count = 1 if listing is UNSERVED else 10
        costs = compare(
            {
                "few": times(count, few.page),
                AGAIN: times(count, few.page),
                "more": times(count, more.page),
                "most": times(count, most.page),
            },
            sides.rounds,
        )
        goal = None if listing is UNSERVED else _FLAT
        what = f"{listing.what}: {counts[-1]:,} / {counts[0]:,}"
        note = f"{_medians(costs)} us; {statistics}: {most.plan(sides.ours.ports.settings)}"
        control = ratio(costs, "few", AGAIN)
        yield Figure(what, ratio(costs, "most", "few"), "x", goal, True, control, note)


def _medians(costs: Costs) -> str:
    return " -> ".join(f"{median(costs, name) * 1e6:,.0f}" for name in ("few", "more", "most"))


def _beside_offset(sides: Sides, naive: Naive, listing: Listing, ours: Ours, rows: int) -> Figure:
    count = 1 if listing.deep else 10

    def theirs() -> object:
        return naive.page(listing, CLASSES[-1], ours.before)

    costs = compare({**twice(times(count, theirs)), "ours": times(count, ours.page)}, sides.rounds)
    return against(f"{listing.what} of {rows:,}, by OFFSET", costs, None)
