"""Plans that stay fast: for a new tenant, after small batches, on a growing table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from uuid import uuid4

import pytest

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import SAMPLE, Database, sample_database
from tests.support.write_api import Api, blob_part, change_op, insert_op, uploaded

BATCH = 1000


@pytest.fixture(scope="module")
def database(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with sample_database(cluster, tmp_path_factory.mktemp("lines")) as made:
        # no autovacuum: only the test runs ANALYZE
        made.ask("ALTER SYSTEM SET autovacuum = off")
        made.ask("SELECT pg_reload_conf()")
        yield made


@pytest.fixture(scope="module")
def empty(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    text = SAMPLE.replace("CREATE INDEX ON jobs (tenant_id, title);", "")
    with sample_database(cluster, tmp_path_factory.mktemp("empty"), text) as made:
        yield made


def best(work: Callable[[], object], times: int = 5) -> float:
    """Return the shortest time of some runs, in seconds."""
    taken = []
    for _ in range(times):
        started = perf_counter()
        work()
        taken.append(perf_counter() - started)
    return min(taken)


def insert_many(api: Api, count: int) -> list[str]:
    """Commit rows in one batch and return their ref_ids."""
    op = insert_op("jobs", [{"title": "x"}] * count)
    api.commit(new_id(), [op])
    return [row["ref_id"] for row in op["rows"]]


def update(api: Api, ref_ids: list[str]) -> None:
    """Commit an update of rows in one batch."""
    rows = [{"ref_id": ref_id, "title": "y"} for ref_id in ref_ids]
    api.commit(new_id(), [change_op("update", "jobs", *rows)])


def test_a_batch_after_single_updates_is_linear(database: Database) -> None:
    """After single updates, a batch of 1000 rows takes less than twice the time of a new session."""
    tenant = uuid4()
    with database.connect() as used, database.connect() as fresh:
        api = Api(used, tenant)
        ref_ids = insert_many(api, BATCH)
        for ref_id in ref_ids[:10]:
            update(api, [ref_id])
        other = Api(fresh, tenant)
        assert best(lambda: update(api, ref_ids)) < 2 * best(lambda: update(other, ref_ids))


def test_a_tenant_without_statistics_is_as_fast(database: Database) -> None:
    """One row of 12,000 without ANALYZE is found by its key, not among all rows of the tenant."""
    with database.connect() as connection:
        known = Api(connection)
        insert_many(known, BATCH)
        database.ask("ANALYZE")
        small, large = Api(connection), Api(connection)
        (few,) = insert_many(small, 1)
        for _ in range(12):
            many = insert_many(large, BATCH)

        def single(api: Api, ref_id: str) -> float:
            return best(lambda: update(api, [ref_id]), 20)

        assert single(large, many[0]) < 2 * single(small, few)


def test_plans_of_an_empty_ledger_stay_fast(database: Database) -> None:
    """With plans from empty tables, save 3000 is as fast as save 10."""
    with database.connect() as connection:
        api = Api(connection)

        def save() -> None:
            write, ref_id = new_id(), new_ref_id()
            api.stage(write, [part := blob_part(ref_id)], key=ref_id)
            row = {"ref_id": ref_id, "name": "x", "transcript_ref": part["part_id"]}
            api.commit(write, [insert_op("tasks", [row], ["transcript"])], uploaded(part), key=ref_id)

        first = best(save, 100)
        for _ in range(3):
            ref_ids = [new_ref_id() for _ in range(BATCH)]
            parts = [blob_part(ref_id) for ref_id in ref_ids]
            api.stage(write := new_id(), parts)
            rows = [
                {"ref_id": r, "name": "x", "transcript_ref": p["part_id"]}
                for r, p in zip(ref_ids, parts, strict=True)
            ]
            api.commit(write, [insert_op("tasks", rows, ["transcript"])], uploaded(*parts))
        assert best(save, 100) < 2 * first


@pytest.mark.parametrize(
    "lookup",
    [
        "storekit.write WHERE tenant_id = $1 AND write_id = $2 AND state = 'pending'",
        "storekit.write WHERE tenant_id = $1 AND idempotency_key = $2::text"
        " AND state IN ('pending', 'committed')",
        "storekit.part WHERE tenant_id = $1 AND write_id = $2",
        "storekit.part WHERE tenant_id = $1 AND part_id = $2",
        "storekit.part WHERE tenant_id = $1 AND part_id = $2 AND live",
        "jobs WHERE tenant_id = $1 AND ref_id = $2::text",
    ],
)
def test_plans_of_an_empty_table_use_the_complete_key(empty: Database, lookup: str) -> None:
    """On empty tables all indexes cost the same; the chosen one must contain the complete key."""
    with empty.connect("postgres") as c:
        c.execute("SET ROLE storekit_owner")
        c.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        c.execute(f"PREPARE lookup (uuid, uuid) AS SELECT * FROM {lookup}".encode())
        plan = c.execute(f"EXPLAIN EXECUTE lookup ('{uuid4()}', '{uuid4()}')".encode()).fetchall()
    (condition,) = [line for (line,) in plan if "Index Cond" in line]
    assert "$1" in condition
    assert "$2" in condition
