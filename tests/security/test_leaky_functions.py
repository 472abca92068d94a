"""Functions, errors and statistics of the app's own making tell nothing of rows behind a policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.security.isolation_catalogue import relations
from tests.security.isolation_tables import MINE, THEIRS
from tests.support.postgres import Database

_TELLING = """
CREATE FUNCTION pg_temp.tell(row_ text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
$$ BEGIN RAISE NOTICE '%', row_; RETURN true; END $$
"""


@pytest.fixture
def app(walled: Database) -> Iterator[psycopg.Connection[Any]]:
    """Be the app, in a transaction of one tenant."""
    with walled.connect("app") as connection, connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(MINE)])
        yield connection


@pytest.fixture(scope="module")
def tables(walled: Database) -> list[str]:
    """Name what the app may read of tenants."""
    with walled.connect("postgres") as connection:
        names = [each.name for each in relations(connection) if each.tenanted and each.kind in "rpv"]
        rows = connection.execute(
            "SELECT n FROM unnest(%s::text[]) AS n WHERE has_table_privilege('app', n, 'SELECT')", [names]
        ).fetchall()
    assert len(rows) > 10
    return [name for (name,) in rows]


def test_a_function_that_tells_is_shown_no_foreign_row(
    app: psycopg.Connection[Any], tables: list[str]
) -> None:
    """The cheapest condition of all runs after the policy: it is called with rows of the tenant alone."""
    told = list[str]()
    app.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))
    app.execute(_TELLING)
    for table in tables:
        app.execute(f"SELECT FROM {table} AS t WHERE pg_temp.tell(t::text)".encode())
    assert len(told) >= len(tables)
    assert [row for row in told if str(THEIRS) in row] == []


def test_a_condition_that_fails_meets_no_foreign_row(app: psycopg.Connection[Any], tables: list[str]) -> None:
    """An error that a foreign row alone would cause does not come."""
    for table in tables:
        fails = f"1 / (CASE WHEN t.tenant_id = '{THEIRS}' THEN 0 ELSE 1 END) = 1"
        app.execute(f"SELECT FROM {table} AS t WHERE {fails}".encode())
        app.execute(f"SELECT FROM {table} AS t ORDER BY {fails}".encode())


def test_statistics_tell_no_value(walled: Database, app: psycopg.Connection[Any], tables: list[str]) -> None:
    """The most common values of a column, which are other tenants' too, are not the app's to read."""
    query = "SELECT count(*) FROM pg_stats WHERE schemaname || '.' || tablename = ANY (%s)"
    walled.ask("ANALYZE")
    assert walled.ask(query, tables) > [(100,)]
    assert app.execute(query, [tables]).fetchall() == [(0,)]


@pytest.mark.parametrize(
    "kind", ["FUNCTION {}.f() RETURNS int LANGUAGE sql RETURN 1", "TABLE {}.t ()", "VIEW {}.v AS SELECT 1"]
)
def test_the_app_makes_nothing_where_others_look(walled: Database, kind: str) -> None:
    """The app makes things in its temporary schema alone: no name of storekit's can be shadowed."""
    schemas = walled.ask("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'")
    with walled.connect("app") as connection:
        for (schema,) in schemas:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"CREATE {kind.format(schema)}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE SCHEMA mine")
