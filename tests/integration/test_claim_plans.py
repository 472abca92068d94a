"""The plan of a claim: it reads the records that it takes, in the order of the declared index."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from storekit import Settings, Store, lt
from storekit.schema.ddl import render
from tests.integration.plans import Node, nodes, recorded
from tests.support.entities import Job
from tests.support.postgres import Database, sample_database

BIG, ROWS, TENANTS, LIMIT = UUID(int=1), 8_000, 2, 10
FILL = "INSERT INTO jobs (name, priority) SELECT i, i %% 1000 FROM generate_series(1, %(rows)s) AS i"
TAKE = """
UPDATE jobs SET status = 'running',
    leased_until = storekit.now() + CASE WHEN name::int %% 400 = 0 THEN -1 ELSE 1 END * interval '1 hour'
WHERE name::int <= %(rows)s - 100
"""
CLAIMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "descending": {"order_by": "-priority"},
    "filtered": {"where": {"priority": lt(990)}},
    "leased": {"lease": {"leased_until": timedelta(minutes=5)}},
}


class Claims:
    """A store on a large table, and the statements that it sends."""

    def __init__(self, store: Store, app: psycopg.Connection[Any], sent: list[Any]) -> None:
        self.store, self.app, self.sent = store, app, sent

    def plan(self, where: dict[str, Any], **more: Any) -> tuple[list[Job], list[Node]]:
        """Claim records; return them, and the nodes of the plan of a further claim, which is rolled back."""
        self.sent.clear()
        jobs = self.store.scope(tenant=BIG, actor="test").repository(Job)
        taken = jobs.claim({"status": "queued", **where}, "running", LIMIT, **more)
        ((setting, (tenant,)), (text, values), _) = self.sent[0]
        with self.app.transaction(force_rollback=True):
            self.app.execute(setting.replace("$1", "%s").encode(), [tenant.decode()])
            values[2] = str(uuid4()).encode()  # the id of the write
            query = f"EXPLAIN (ANALYZE, FORMAT JSON) {text}"
            found = self.app.pgconn.exec_params(query.encode(), values)
            assert not found.error_message, found.error_message
            answer = psycopg.adapt.Transformer(self.app)
            answer.set_pgresult(found)
            (row,) = answer.load_rows(0, 1, tuple)
        return taken, list(nodes(row[0][0]["Plan"]))


@pytest.fixture(scope="module")
def claims(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Claims]:
    """Fill the table for several tenants, without ANALYZE."""
    made: Database
    with (
        sample_database(cluster, tmp_path_factory.mktemp("jobs"), render(Job)) as made,
        pytest.MonkeyPatch.context() as patch,
    ):
        made.ask("ALTER TABLE jobs SET (autovacuum_enabled = off)")
        sent = recorded(patch)
        with Store.open(Settings(postgres_url=SecretStr(made.url("app")))) as store, made.connect() as app:
            for tenant in (*(uuid4() for _ in range(TENANTS)), BIG):
                with app.transaction():
                    app.execute("SELECT set_config('storekit.tenant', %s, true)", [str(tenant)])
                    app.execute("SELECT set_config('storekit.actor', 'test', true)")
                    for text in (FILL, TAKE):
                        app.execute(text.encode(), {"rows": ROWS})
            yield Claims(store, app, sent)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_reads_what_it_takes(claims: Claims, name: str) -> None:
    """A claim reads its index in the order of the index, sorts nothing and skips no taken records; a lease
    adds the index of the lease."""
    more = {"where": {}, **CLAIMS[name]}
    taken, plan = claims.plan(**more)
    assert len(taken) == LIMIT
    found = [node for node in plan if node.get("Relation Name") == "jobs" and node["Actual Loops"]]
    kinds = {node["Node Type"] for node in plan}
    assert kinds.isdisjoint({"Sort", "Incremental Sort", "Seq Scan", "Bitmap Heap Scan"}), kinds
    assert {node["Node Type"] for node in found} <= {"Index Scan", "Index Only Scan"}
    indexes = {node["Index Name"].rpartition("_ix_")[0] for node in found}
    leased = name == "leased"
    assert indexes <= {"jobs_priority", "jobs_leased_until"} if leased else indexes == {"jobs_priority"}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in found) <= 2 * LIMIT
    assert sum(node.get("Rows Removed by Filter", 0) for node in found) <= 2 * LIMIT
    order = [job.priority for job in taken if job.updated_on is not None]
    if not leased:
        assert order == sorted(order, reverse=name == "descending")
