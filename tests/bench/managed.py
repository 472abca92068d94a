"""The cost of a managed table: the commit of rows compared with a table without triggers and policies."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from storekit import Settings, Store, trace
from storekit.api.repository import Repository
from tests.bench.figures import AGAIN, THEIRS, Figure, Sides
from tests.bench.measure import Cost, Variant, compare, median, ratio
from tests.bench.ours import Spent
from tests.bench.records import ACTOR, TENANT, Bare, Managed


def strip(settings: Settings) -> None:
    """Disable the triggers and policies of the bare table."""
    assert settings.postgres_admin_url is not None
    with psycopg.connect(settings.postgres_admin_url.get_secret_value()) as connection:
        connection.execute("SET LOCAL ROLE storekit_owner")
        connection.execute("ALTER TABLE bench_bare DISABLE TRIGGER USER, DISABLE ROW LEVEL SECURITY")


def managed(sides: Sides) -> Iterator[Figure]:
    """Measure the commit step only: the client's part is the same on both sides."""
    with Store.open(sides.ours.ports.settings) as store:
        scope = store.scope(tenant=TENANT, actor=ACTOR)
        kept, bare = scope.repository(Managed), scope.repository(Bare)
        for rows, times in (1, 50), (1000, 2):
            costs = compare(
                {
                    "managed": _commits(kept, Managed, rows, times),
                    THEIRS: _commits(bare, Bare, rows, times),
                    AGAIN: _commits(bare, Bare, rows, times),
                },
                sides.rounds,
            )
            value, control = ratio(costs, "managed", THEIRS), ratio(costs, THEIRS, AGAIN)
            note = " -> ".join(f"{median(costs, side) * 1e6:,.1f}" for side in (THEIRS, "managed"))
            what = f"commit of {rows} managed / bare"
            yield Figure(what, value, control=control, note=f"{note} us a row")


def _commits(
    repository: Repository[Managed] | Repository[Bare], entity: type[Managed | Bare], rows: int, times: int
) -> Variant:
    def variant() -> Cost:
        spent = Spent()
        with trace.listen(spent):
            for _ in range(times):
                repository.save_many([entity(title="Q3", pages=12) for _ in range(rows)])  # type: ignore[misc]
        return Cost(spent.by_step["postgres.commit"] / (rows * times), 0.0)

    return variant
