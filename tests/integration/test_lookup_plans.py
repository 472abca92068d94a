"""The plans of look-ups by key: one row for each record, whatever the statistics and the cached plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import pytest

from storekit import Blob, Entity, Mutable, SoftDelete, blob, index, references
from storekit.drivers.postgres.wire import compose
from storekit.flows.read.load import whole_row
from storekit.ports.statements import Locate, Statement, Via
from storekit.schema.ddl import render
from tests.integration.plans import Planner, indexes, rows_read
from tests.support.postgres import Database, sample_database

LISTS = [index("status"), index("-created_on"), index("status", "-created_on"), index("score", "-status")]
TENANT = uuid4()
KEY, ID = "papers_tenant_id_ref_id_key", "papers_pkey"


class Paper(Entity, Mutable, SoftDelete, table="papers", indexes=LISTS):
    """A class with many indexes and a reference to itself."""

    status: str = "new"
    score: int = 0
    origin_id: Annotated[UUID | None, references("self")] = None
    scan: Annotated[Blob | None, blob()] = None


@pytest.fixture
def papers(cluster: str, tmp_path: Path) -> Iterator[Database]:
    """Create the table; only the test runs ANALYZE."""
    with sample_database(cluster, tmp_path, render(Paper)) as database:
        database.ask("ALTER TABLE papers SET (autovacuum_enabled = false)")
        database.ask("CREATE INDEX by_hand ON papers (tenant_id, status)")
        yield database


def write(database: Database, tenant: UUID, count: int) -> Sequence[str]:
    """Insert rows of a tenant; return the ref_ids of the last 100, which refer to the row before them."""
    insert = """
        WITH made AS (SELECT n, storekit.new_id() AS id FROM generate_series(1, %(count)s) AS n)
        INSERT INTO papers (id, origin_id, score)
        SELECT id, CASE WHEN n > %(count)s - 100 THEN lag(id) OVER (ORDER BY n) END, n FROM made
    """
    with database.connect("postgres") as connection, connection.transaction():
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(tenant)])
        connection.execute(insert, {"count": count})
        last = "SELECT ref_id FROM papers WHERE tenant_id = %s ORDER BY score DESC LIMIT 100"
        return [ref_id for (ref_id,) in connection.execute(last, [tenant])]


def look_ups(ref_ids: Sequence[str]) -> Iterator[tuple[Statement, set[str], int]]:
    """Yield the look-ups of one record and of all, with the indexes that they use and the rows they read."""
    via = Via("origin_id", "papers", soft_delete=True)
    for wanted in (tuple(ref_ids[:1]), tuple(ref_ids)):
        yield whole_row(Paper.storekit_table, wanted), {KEY}, len(wanted)
        yield Locate("papers", "scan", soft_delete=True, ref_ids=wanted), {KEY}, len(wanted)
        through = Locate("papers", "scan", soft_delete=True, ref_ids=wanted, via=via)
        yield through, {KEY, ID}, 2 * len(wanted)


@pytest.mark.parametrize("rows", [0, 1, 190])
def test_a_look_up_reads_one_row_for_each_record(papers: Database, rows: int) -> None:
    """`get`, `url` and `urls` read the wanted rows by their key, with old plans and without statistics.

    Through a reference they read the referenced rows too. The plans were cached, or made, when the table had
    few rows and the tenant none.
    """
    write(papers, uuid4(), rows)
    papers.ask("ANALYZE papers")
    with papers.connect() as app:
        planner = Planner(app)
        for statement, *_ in look_ups([f"{n:026}" for n in range(100)]):
            planner.plan(compose(TENANT, [statement]))
        ref_ids = write(papers, TENANT, 12_000)
        for mode in ("generic", "custom"):
            app.execute(f"SET plan_cache_mode = force_{mode}_plan".encode())
            for statement, used, most in look_ups(ref_ids):
                plan = planner.plan(compose(TENANT, [statement]))
                assert (indexes(plan, "papers"), rows_read(plan, "papers")) == (used, most), (mode, statement)
