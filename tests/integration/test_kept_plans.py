"""Cached plans from when a table was small, for a class with many indexes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import psycopg
import pytest

from storekit import Blob, Entity, Mutable, SoftDelete, blob, index, references
from storekit.drivers.postgres.wire import compose
from storekit.flows.read.load import whole_row
from storekit.ids import new_ref_id
from storekit.ports.statements import Locate, Statement, Via
from storekit.schema.ddl import render
from tests.integration.plans import nodes
from tests.support.postgres import Database, fresh_database, set_up

LISTS = [index("status"), index("-created_on"), index("status", "-created_on"), index("score", "-status")]
TENANT = uuid4()


class Paper(Entity, Mutable, SoftDelete, table="papers", indexes=LISTS):
    """A class with many indexes and a reference to itself."""

    status: str = "new"
    score: int = 0
    origin_id: Annotated[UUID | None, references("self")] = None
    scan: Annotated[Blob | None, blob()] = None


ONE, TWO = (new_ref_id(),), (new_ref_id(), new_ref_id())
VIA = Via("origin_id", "papers", soft_delete=True)
KEY, ID = "papers_tenant_id_ref_id_key", "papers_pkey"
LOOK_UPS: dict[str, tuple[Statement, set[str]]] = {
    "record": (whole_row(Paper.storekit_table, ONE), {KEY}),
    "records": (whole_row(Paper.storekit_table, TWO), {KEY}),
    "blob": (Locate("papers", "scan", soft_delete=True, ref_ids=ONE), {KEY}),
    "blobs": (Locate("papers", "scan", soft_delete=True, ref_ids=TWO), {KEY}),
    "blob_of_another": (Locate("papers", "scan", soft_delete=True, ref_ids=ONE, via=VIA), {KEY, ID}),
    "blobs_of_others": (Locate("papers", "scan", soft_delete=True, ref_ids=TWO, via=VIA), {KEY, ID}),
}


@pytest.fixture
def papers(cluster: str, tmp_path: Path) -> Iterator[Database]:
    """Create the table; only the test runs ANALYZE."""
    with fresh_database(cluster) as fresh:
        database = set_up(fresh, tmp_path, render(Paper))
        database.ask("ALTER TABLE papers SET (autovacuum_enabled = false)")
        database.ask("CREATE INDEX by_hand ON papers (tenant_id, status)")
        yield database


def write(database: Database, tenant: UUID, count: int) -> None:
    """Insert rows of a tenant."""
    with database.connect("postgres") as connection, connection.transaction():
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(tenant)])
        connection.execute("INSERT INTO papers (score) SELECT n FROM generate_series(1, %s) AS n", [count])


def execute(app: psycopg.Connection[Any], name: str, statement: Statement, explain: str = "") -> list[Any]:
    """Run a prepared statement as the SDK does, in one transaction with its settings."""
    (settings, [tenant]), (_, values) = compose(TENANT, [statement])
    with app.transaction():
        assert tenant is not None
        app.execute(settings.replace("$1", "%s").encode(), [str(tenant, "ascii")])
        literals = ", ".join(f"'{value.decode()}'" for value in values if value is not None)
        return app.execute(f"{explain} EXECUTE {name} ({literals})".encode()).fetchall()


def indexes(plan: dict[str, Any]) -> set[str]:
    """Return the names of the indexes that a plan uses to read papers, or the kind of scan."""
    return {
        str(node.get("Index Name", node["Node Type"]))
        for node in nodes(plan)
        if node.get("Relation Name") == "papers"
    }


@pytest.mark.parametrize("rows", [0, 1, 190])
def test_a_cached_plan_uses_the_complete_key(papers: Database, rows: int) -> None:
    """Statements that were planned for few rows use the key's own index after 12,000 more rows."""
    write(papers, uuid4(), rows)
    papers.ask("ANALYZE papers")
    with papers.connect() as app:
        # the generic plan, which Postgres otherwise considers from the sixth execution on
        app.execute("SET plan_cache_mode = force_generic_plan")
        for name, (statement, _) in LOOK_UPS.items():
            (text, _) = compose(TENANT, [statement])[1]
            app.execute(f"PREPARE {name} AS {text}".encode())
            execute(app, name, statement)
        write(papers, TENANT, 12_000)
        plans = {
            name: execute(app, name, statement, "EXPLAIN (FORMAT JSON)")[0][0][0]["Plan"]
            for name, (statement, _) in LOOK_UPS.items()
        }
    assert {name: indexes(plan) for name, plan in plans.items()} == {
        name: used for name, (_, used) in LOOK_UPS.items()
    }
