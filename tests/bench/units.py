"""A unit of work with records of three tables, with and without SQL of the user."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from storekit import Store
from storekit.api.scope import Scope
from tests.bench.figures import Figure, Sides, against, few_rounds, twice, with_steps
from tests.bench.measure import compare, times
from tests.bench.naive_rows import NOTE, NaiveRows
from tests.bench.records import ACTOR, TENANT, Managed, Posting, account, accounts

_POSTINGS = 8


def unit(sides: Sides) -> Iterator[Figure]:
    """Save ten records: an account, its postings and an unrelated record."""
    naive, count = NaiveRows(sides.naive.pool), 5 if sides.delay else 20
    with Store.open(sides.ours.ports.settings) as store:
        scope = store.scope(tenant=TENANT, actor=ACTOR)
        for what, note in ("unit of 10 records", False), ("unit of 10 records and own SQL", True):
            theirs = partial(_theirs, naive, note=note)
            ours = partial(_ours, scope, note=note)
            costs = compare({**twice(times(count, theirs)), "ours": times(count, ours)}, few_rounds(sides))
            yield with_steps(against(what, costs, None), costs, ours)


def _theirs(naive: NaiveRows, *, note: bool) -> None:
    naive.unit(accounts(1)[0], _POSTINGS, note=note)


def _ours(scope: Scope, *, note: bool) -> None:
    with scope.transaction() as tx:
        first = tx.save(account(*accounts(1)[0]))
        tx.save_many(Posting(account_id=first.id, text="fee", amount=n) for n in range(_POSTINGS))
        tx.save(Managed(title="Q3", pages=12))
        if note:
            tx.connection.execute(NOTE, (first.id, "opened"))
