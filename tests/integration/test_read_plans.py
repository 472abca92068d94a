"""The plans of the reads: one index look-up for each record, whatever the planner knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from entities import Report

from storekit import Store
from storekit.drivers.postgres.ledger import SESSION
from storekit.flows.load import whole_row
from storekit.ports import Locate
from storekit.sql import locate, select

ROWS = 2000


@pytest.fixture(scope="module")
def crowded(embedded: Store) -> tuple[str, list[str]]:
    """Make a tenant with many records that no ANALYZE has seen."""
    tenant = uuid4()
    reports = embedded.scope(tenant=tenant, actor="test").repository(Report)
    saved = reports.save_many(Report(title=str(i)) for i in range(ROWS))
    return str(tenant), [report.ref_id for report in saved]


@pytest.fixture
def connection(embedded: Store) -> Iterator[psycopg.Connection[Any]]:
    assert embedded.settings.postgres_url is not None
    url = embedded.settings.postgres_url.get_secret_value()
    with psycopg.connect(url, options=SESSION) as connection:
        yield connection


def rows_read(connection: psycopg.Connection[Any], tenant: str, composed: tuple[str, list[Any]]) -> int:
    """Count the rows that a statement takes out of the entity's table, those it throws away included."""
    text, (_, ref_ids) = composed
    sql = "EXPLAIN (ANALYZE, FORMAT JSON) " + text.replace("$1", f"'{tenant}'").replace(
        "$2", f"'{ref_ids.decode()}'"
    )
    connection.execute("SELECT set_config('storekit.tenant', %s, true)", (tenant,))
    found = connection.execute(sql.encode()).fetchone()
    assert found is not None
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(found[0][0]["Plan"])
        if node.get("Relation Name") == "reports"
    )


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {key: value for key, value in plan.items() if key != "Plans"}
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize("number", [1, 100])
def test_urls_read_no_more_rows_than_they_are_asked_for(
    connection: psycopg.Connection[Any], crowded: tuple[str, list[str]], number: int
) -> None:
    """The look-up of one URL or a hundred reads that many rows of a tenant that has thousands."""
    tenant, ref_ids = crowded
    statement = Locate("reports", "pdf", soft_delete=False, ref_ids=tuple(ref_ids[:number]))
    assert rows_read(connection, tenant, locate(statement, uuid4())) == number


@pytest.mark.parametrize("number", [1, 100])
def test_records_are_read_one_look_up_each(
    connection: psycopg.Connection[Any], crowded: tuple[str, list[str]], number: int
) -> None:
    """Reading records by ref_id reads no other row."""
    tenant, ref_ids = crowded
    statement = whole_row(Report.storekit_table, ref_ids[:number])
    assert rows_read(connection, tenant, select(statement, uuid4())) == number
