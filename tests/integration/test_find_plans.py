"""The plans of find: a page reads only its own rows, by the index that was declared for its order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from storekit import Settings, Store, between, ge, is_null
from storekit.model.find.bindings import LEAKPROOF_TYPES
from storekit.schema.ddl import render
from tests.integration.plans import Planner, indexes, recorded, rows_read
from tests.support.entities import Everything, Lead, Report, Run, Tariff
from tests.support.postgres import sample_database

FEW, ROWS, TENANTS, LIMIT = 150, 2_000, 10, 20
BIG, TINY = UUID(int=1), UUID(int=2)
DUE = datetime(2026, 1, 1, tzinfo=UTC)
FILL = """
WITH run AS (INSERT INTO runs (name) VALUES ('nightly') RETURNING id)
INSERT INTO leads (number, team, score, due, email, stage, run_id)
SELECT i, (ARRAY['a', 'b', 'c', NULL])[1 + i %% 4], i %% 100, nullif(i %% 10, 0) * interval '1 day' + %s,
    i || '@x', (ARRAY['new', 'won', 'lost'])[1 + i %% 3]::leads_stage,
    CASE WHEN i < %s / 3 THEN (SELECT id FROM run) END
FROM generate_series(1, %s) AS i
"""
BY_RUN = "run.ref_id"
CASES: list[tuple[dict[str, Any], Any, str, int]] = [
    ({}, None, "leads_tenant_id_ref_id_key", 1),
    ({}, "id", "leads_pkey", 1),
    ({}, "-number", "leads_natural_key", 1),
    ({}, "-created_on", "leads_created_on_ix", 1),
    ({}, "created_on", "leads_created_on_ix", 1),
    ({}, "score", "leads_score_ix", 1),
    ({}, "due", "leads_due_ix", 3),
    ({}, "-due", "leads_due_ix", 3),
    ({"due": is_null(False)}, "due", "leads_due_ix", 1),
    ({}, ["team", "-due"], "leads_team_due_ix", 6),
    ({}, ["-team", "due"], "leads_team_due_ix", 6),
    ({"team": "a"}, "score", "leads_team_score_ix", 1),
    ({"team": "a"}, "-due", "leads_team_due_ix", 3),
    ({"team": "a", "due": ge(DUE)}, "-due", "leads_team_due_ix", 1),
    ({"stage": "new", "due": ge(DUE)}, "-due", "leads_due_ix", 1),
    ({"email": ge("0")}, "email", "leads_email_uq", 1),
    ({BY_RUN: ...}, None, "leads_run_id_tenant_id_ref_id_idx", 1),
]
"""Filters, order, the index, and the number of index ranges in which a page can continue."""
KEYS: list[tuple[dict[str, Any], str]] = [
    ({"number": "9"}, "leads_natural_key"),
    ({"email": "9@x"}, "leads_email_uq"),
    ({"id": UUID(int=1)}, "leads_pkey"),
]


class PlannedStore(Planner):
    """A store whose statements were prepared and planned while the table was small."""

    def __init__(self, store: Store, app: psycopg.Connection[Any], sent: list[Any]) -> None:
        super().__init__(app)
        self.store, self.sent = store, sent

    def read_pages(self, tenant: UUID, where: dict[str, Any], order_by: Any, pages: int) -> list[Any]:
        """Read pages; return the statements of the first and of the last."""
        scope = self.store.scope(tenant=tenant, actor="test")
        if BY_RUN in where:
            where = {BY_RUN: scope.repository(Run).find()[0].ref_id}
        self.sent.clear()
        after = None
        for number in range(pages):
            assert after or number == 0
            page = scope.repository(Lead).find(where, order_by=order_by, limit=LIMIT, after=after)
            after = page.next
        return [self.sent[0], self.sent[-1]]


def index_of(plan: list[dict[str, Any]]) -> str:
    """Return the only index of the table that a plan uses."""
    (used,) = indexes(plan, "leads")
    return used


@pytest.fixture(scope="module")
def planned(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlannedStore]:
    """Plan every statement on a small table, then fill it for many tenants without ANALYZE."""
    text = "\n".join(render(entity) for entity in (Run, Report, Tariff, Lead))
    with (
        sample_database(cluster, tmp_path_factory.mktemp("leads"), text) as database,
        pytest.MonkeyPatch.context() as patch,
    ):
        database.ask("ALTER TABLE leads SET (autovacuum_enabled = off)")
        sent = recorded(patch)
        settings = Settings(postgres_url=SecretStr(database.url("app")))
        with Store.open(settings) as store, database.connect() as app:
            made = PlannedStore(store, app, sent)
            _fill(app, TINY, FEW)
            for where, order_by, *_ in CASES:
                for composed in made.read_pages(TINY, where, order_by, 2):
                    made.plan(composed)
            for tenant in (*(uuid4() for _ in range(TENANTS)), BIG):
                _fill(app, tenant, ROWS)
            yield made


def _fill(app: psycopg.Connection[Any], tenant: UUID, rows: int) -> None:
    with app.transaction():
        app.execute("SELECT set_config('storekit.tenant', %s, true)", [str(tenant)])
        app.execute("SELECT set_config('storekit.actor', 'test', true)")
        app.execute(FILL, [DUE, rows, rows])


@pytest.mark.parametrize(("where", "order_by", "name", "ranges"), CASES)
def test_a_page_reads_only_its_own_rows(
    planned: PlannedStore, where: dict[str, Any], order_by: Any, name: str, ranges: int
) -> None:
    """Page one reads limit + 1 rows; later pages read at most that many in each range of the index."""
    first, deep = planned.read_pages(BIG, where, order_by, 11)
    for composed, most in ((first, LIMIT + 1), (deep, (LIMIT + 1) * ranges)):
        plan = planned.plan(composed)
        assert index_of(plan).startswith(name)
        assert rows_read(plan, "leads") <= most
        assert rows_read(plan, "runs") <= 1


@pytest.mark.parametrize(("where", "name"), KEYS)
def test_a_unique_key_is_one_lookup(planned: PlannedStore, where: dict[str, Any], name: str) -> None:
    """A filter on a unique key uses the key's index, whatever the order."""
    plan = planned.plan(planned.read_pages(BIG, where, None, 1)[0])
    assert index_of(plan).startswith(name)
    assert rows_read(plan, "leads") <= 1


def test_a_partial_index_lists_one_state(planned: PlannedStore) -> None:
    """A policy prevents index conditions on enums, but a partial index of one state can be used."""
    plan = planned.plan(planned.read_pages(BIG, {"stage": "new"}, "-due", 1)[0])
    with planned.app.cursor() as cursor:
        row = cursor.execute("SELECT pg_get_indexdef(%s::regclass)", [index_of(plan)]).fetchone()
    assert row
    assert "WHERE ((stage = 'new'" in row[0]
    assert rows_read(plan, "leads") <= LIMIT + 1


def test_types_with_leakproof_comparisons_are_known(planned: PlannedStore) -> None:
    """Orders use only columns of types whose comparisons Postgres marks as leakproof."""
    marked = """
        SELECT format_type(c.opcintype, NULL) FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod
        JOIN pg_amop o ON o.amopfamily = c.opcfamily
            AND (o.amoplefttype, o.amoprighttype) = (c.opcintype, c.opcintype)
        JOIN pg_operator p ON p.oid = o.amopopr JOIN pg_proc f ON f.oid = p.oprcode
        WHERE a.amname = 'btree' AND c.opcdefault GROUP BY 1 HAVING bool_and(f.proleakproof)
    """
    leakproof = {name.replace(" with time zone", "tz") for (name,) in planned.app.execute(marked.encode())}
    ours = {column.sql for column in Everything.storekit_table.columns.values() if column.ordered}
    assert ours & leakproof == LEAKPROOF_TYPES


def test_a_count_reads_only_the_rows_that_it_counts(planned: PlannedStore) -> None:
    """A count by the leading columns of an index reads no other rows."""
    leads = planned.store.scope(tenant=BIG, actor="test").repository(Lead)
    planned.sent.clear()
    counted = leads.count({"team": "a", "score": between(10, 20)})
    plan = planned.plan(planned.sent[0])
    assert (counted, rows_read(plan, "leads")) == (60, 60)
