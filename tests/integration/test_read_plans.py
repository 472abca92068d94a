"""The plans of reads: one index look-up per record, whatever the statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from storekit import Store
from storekit.drivers.postgres.queries.reads import SET_TENANT, locate, select
from storekit.flows.read.load import whole_row
from storekit.ports.statements import Locate, Via
from tests.integration.plans import nodes, rows_read
from tests.support.entities import Remark, Report

ROWS = 2000


@pytest.fixture(scope="module")
def crowded(embedded: Store) -> tuple[str, list[str]]:
    """Create a tenant with many records, without ANALYZE."""
    tenant = uuid4()
    reports = embedded.scope(tenant=tenant, actor="test").repository(Report)
    saved = reports.save_many(Report(title=str(i)) for i in range(ROWS))
    return str(tenant), [report.ref_id for report in saved]


@pytest.fixture
def connection(embedded: Store) -> Iterator[psycopg.Connection[Any]]:
    assert embedded.settings.postgres_url is not None
    url = embedded.settings.postgres_url.get_secret_value()
    with psycopg.connect(url) as connection:
        yield connection


def read(
    connection: psycopg.Connection[Any], tenant: str, composed: tuple[str, list[Any]], table: str = "reports"
) -> int:
    """Count the rows that a statement reads from a table."""
    return rows_read(plan(connection, tenant, composed), table)


def plan(
    connection: psycopg.Connection[Any], tenant: str, composed: tuple[str, list[Any]]
) -> list[dict[str, Any]]:
    """Run a statement as storekit does, and return the nodes of its plan."""
    text, (_, ref_ids) = composed
    sql = "EXPLAIN (ANALYZE, FORMAT JSON) " + text.replace("$1", f"'{tenant}'").replace(
        "$2", f"'{ref_ids.decode()}'"
    )
    connection.execute(SET_TENANT.replace("$1", "%s").encode(), (tenant,))
    found = connection.execute(sql.encode()).fetchone()
    assert found is not None
    return list(nodes(found[0][0]["Plan"]))


@pytest.mark.parametrize("number", [1, 100])
def test_urls_read_one_row_per_record(
    connection: psycopg.Connection[Any], crowded: tuple[str, list[str]], number: int
) -> None:
    """A look-up of 1 or 100 URLs reads that many rows of a tenant with thousands."""
    tenant, ref_ids = crowded
    statement = Locate("reports", "pdf", soft_delete=False, ref_ids=tuple(ref_ids[:number]))
    assert read(connection, tenant, locate(statement, uuid4())) == number


@pytest.mark.parametrize("number", [1, 100])
def test_urls_by_a_reference_read_two_rows_per_record(
    embedded: Store, connection: psycopg.Connection[Any], crowded: tuple[str, list[str]], number: int
) -> None:
    """A look-up through a reference reads the record and the record that it refers to."""
    tenant, _ = crowded
    scope = embedded.scope(tenant=tenant, actor="test")
    reports = scope.repository(Report).save_many(Report(title=str(i)) for i in range(number))
    remarks = scope.repository(Remark).save_many(Remark(report_id=each.id, text="x") for each in reports)
    ref_ids = tuple(remark.ref_id for remark in remarks)
    via = Via("report_id", "reports", soft_delete=False)
    statement = locate(Locate("remarks", "pdf", soft_delete=False, ref_ids=ref_ids, via=via), uuid4())
    assert read(connection, tenant, statement, "remarks") == number
    assert read(connection, tenant, statement, "reports") == number


@pytest.mark.parametrize("number", [1, 100])
def test_get_reads_one_row_per_record(
    connection: psycopg.Connection[Any], crowded: tuple[str, list[str]], number: int
) -> None:
    """Reading records by ref_id reads no other rows."""
    tenant, ref_ids = crowded
    statement = whole_row(Report.storekit_table, ref_ids[:number])
    assert read(connection, tenant, select(statement, uuid4())) == number
