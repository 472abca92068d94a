"""Functions, errors and statistics that the app can produce reveal nothing about rows behind a policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.security.isolation_catalogue import relations
from tests.security.isolation_tables import MINE, THEIRS
from tests.support.postgres import Database

_LEAKY = """
CREATE FUNCTION pg_temp.leak(row_ text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
$$ BEGIN RAISE NOTICE '%', row_; RETURN true; END $$
"""


@pytest.fixture
def app(matrix_db: Database) -> Iterator[psycopg.Connection[Any]]:
    """Connect as the app, in a transaction of one tenant."""
    with matrix_db.connect("app") as connection, connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(MINE)])
        yield connection


@pytest.fixture(scope="module")
def tables(matrix_db: Database) -> list[str]:
    """Return the tables with rows of tenants that the app may read."""
    with matrix_db.connect("postgres") as connection:
        names = [each.name for each in relations(connection) if each.tenanted and each.kind in "rpv"]
        rows = connection.execute(
            "SELECT n FROM unnest(%s::text[]) AS n WHERE has_table_privilege('app', n, 'SELECT')", [names]
        ).fetchall()
    assert len(rows) > 10
    return [name for (name,) in rows]


def test_cheap_functions_see_own_rows_only(app: psycopg.Connection[Any], tables: list[str]) -> None:
    """A function with the lowest cost is still called after the policy, with rows of the tenant only."""
    notices = list[str]()
    app.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
    app.execute(_LEAKY)
    for table in tables:
        app.execute(f"SELECT FROM {table} AS t WHERE pg_temp.leak(t::text)".encode())
    assert len(notices) >= len(tables)
    assert [row for row in notices if str(THEIRS) in row] == []


def test_failing_conditions_see_own_rows_only(app: psycopg.Connection[Any], tables: list[str]) -> None:
    """A condition that fails only on another tenant's row does not fail."""
    for table in tables:
        fails = f"1 / (CASE WHEN t.tenant_id = '{THEIRS}' THEN 0 ELSE 1 END) = 1"
        app.execute(f"SELECT FROM {table} AS t WHERE {fails}".encode())
        app.execute(f"SELECT FROM {table} AS t ORDER BY {fails}".encode())


def test_statistics_are_not_readable(
    matrix_db: Database, app: psycopg.Connection[Any], tables: list[str]
) -> None:
    """The app cannot read pg_stats, which contains values of all tenants."""
    query = "SELECT count(*) FROM pg_stats WHERE schemaname || '.' || tablename = ANY (%s)"
    matrix_db.ask("ANALYZE")
    assert matrix_db.ask(query, tables) > [(100,)]
    assert app.execute(query, [tables]).fetchall() == [(0,)]


@pytest.mark.parametrize(
    "kind", ["FUNCTION {}.f() RETURNS int LANGUAGE sql RETURN 1", "TABLE {}.t ()", "VIEW {}.v AS SELECT 1"]
)
def test_the_app_can_create_objects_in_pg_temp_only(matrix_db: Database, kind: str) -> None:
    """The app can create objects only in its temporary schema, so it cannot shadow storekit's names."""
    schemas = matrix_db.ask("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'")
    with matrix_db.connect("app") as connection:
        for (schema,) in schemas:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"CREATE {kind.format(schema)}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE SCHEMA mine")
