"""Interrupted migrations: after a failure, kill -9, or another deployer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from storekit.drivers.postgres.admin.runner import migrate
from storekit.errors import ConfigurationError
from storekit.schema.lines import Line, core
from tests.integration.deployer import deployer, kill_when
from tests.support.postgres import Database, write_line
from tests.support.shipped import shipped_database

TABLES = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
INDEX = """
    SELECT i.indisvalid FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = 'activity_runs'::regclass AND starts_with(c.relname, 'by_agent')"""
MARK = "-- storekit: no transaction\n"
BY_AGENT = f"{MARK}CREATE INDEX CONCURRENTLY IF NOT EXISTS by_agent ON activity_runs (tenant_id, agent);"
ONE_AGENT = BY_AGENT.replace("CREATE INDEX", "CREATE UNIQUE INDEX")
DUPLICATES = """
    INSERT INTO activity_runs (tenant_id, activity, agent)
    SELECT tenant, 'research', 'writer' FROM storekit.new_id() AS tenant, generate_series(1, 2)"""
# One deployer runs the first file, the other waits for the lock.
BOTH_THERE = """
    SELECT pid FROM pg_stat_activity WHERE usename = 'admin' AND datname = current_database()
    AND (wait_event = 'advisory' OR query LIKE '%pg_try_advisory_lock%')"""
DONE = b"the stores are up to date\n"


@pytest.fixture
def database(cluster: str) -> Iterator[Database]:
    with shipped_database(cluster) as made:
        yield made


def own(directory: Path, *texts: str) -> Line:
    return write_line(directory / "own", "own", *texts)


def apply(database: Database, line: Line) -> list[int]:
    """Apply a line as the admin and return the numbers that were applied."""
    return [migration.number for migration in migrate(database.url("admin"), [core(), line])]


def test_a_failed_run_is_resumed(database: Database, tmp_path: Path) -> None:
    """If the third of four files fails, the first two stay; the next run continues with the third."""
    files = [f"CREATE TABLE t{number} ()" for number in range(1, 5)]
    with pytest.raises(ConfigurationError, match="own 0003_step.sql failed and was rolled back"):
        apply(database, own(tmp_path, *files[:2], "CREATE TABLE t3 (); SELECT 1 / 0", files[3]))
    assert {("t1",), ("t2",)} < set(database.ask(TABLES))
    assert not {("t3",), ("t4",)} & set(database.ask(TABLES))
    assert apply(database, own(tmp_path, *files)) == [3, 4]


@pytest.mark.parametrize(
    ("statement", "wait_event"),
    [("SELECT pg_sleep(3600)", "PgSleep"), ("SELECT pg_advisory_xact_lock(4711)", "advisory")],
)
def test_a_killed_deployer_rolls_its_file_back(
    database: Database, tmp_path: Path, statement: str, wait_event: str
) -> None:
    """After kill -9 during a file its statement ends, the file is rolled back and the next run applies it."""
    line = own(tmp_path, "CREATE TABLE kept ()", f"CREATE TABLE lost (); {statement}")
    with database.connect("postgres") as connection, deployer(database, tmp_path / "own") as process:
        connection.execute("SELECT pg_advisory_lock(4711)")
        kill_when(process, database, wait_event)
    assert ("lost",) not in database.ask(TABLES)
    own(tmp_path, "CREATE TABLE kept ()", "CREATE TABLE lost ()")
    assert apply(database, line) == [2]
    assert {("kept",), ("lost",)} < set(database.ask(TABLES))


def test_kill_between_a_concurrent_index_and_its_record(database: Database, tmp_path: Path) -> None:
    """The next run finds the index and records it."""
    line = own(tmp_path, BY_AGENT)
    with (
        database.connect("postgres") as connection,
        deployer(database, tmp_path / "own") as process,
        connection.transaction(),
    ):
        connection.execute("LOCK TABLE storekit.migration IN EXCLUSIVE MODE")
        kill_when(process, database, "relation")
    assert database.ask(INDEX) == [(True,)]
    assert database.ask("SELECT number FROM storekit.migration WHERE line = 'own'") == []
    assert apply(database, line) == [1]
    assert apply(database, line) == []
    assert database.ask(INDEX) == [(True,)]


def test_an_unfinished_concurrent_index_is_built_again(database: Database, tmp_path: Path) -> None:
    """After kill -9 during a concurrent index the invalid index is replaced."""
    line = own(tmp_path, BY_AGENT)
    with (
        database.connect("postgres") as connection,
        deployer(database, tmp_path / "own") as process,
        connection.transaction(),
    ):
        connection.execute("LOCK TABLE activity_runs IN ROW EXCLUSIVE MODE")
        kill_when(process, database, "virtualxid")
    assert database.ask(INDEX) == [(False,)]
    assert apply(database, line) == [1]
    assert database.ask(INDEX) == [(True,)]


def test_a_concurrent_unique_index_over_duplicates(database: Database, tmp_path: Path) -> None:
    """It sees all rows under FORCE, fails on duplicates, and is built once they are gone."""
    database.ask(DUPLICATES)
    line = own(tmp_path, ONE_AGENT)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"not recorded.*could not create unique index"):
            apply(database, line)
        assert database.ask(INDEX) == [(False,)]
    database.ask("DELETE FROM activity_runs WHERE ref_id = (SELECT min(ref_id) FROM activity_runs)")
    assert apply(database, line) == [1]
    assert database.ask(INDEX) == [(True,)]


def test_deployers_of_a_concurrent_index_do_not_deadlock(database: Database, tmp_path: Path) -> None:
    """Of two deployers one waits, and then finds nothing to do."""
    line = own(tmp_path, "SELECT pg_advisory_xact_lock(4711)", BY_AGENT)
    with (
        database.connect("postgres") as connection,
        deployer(database, tmp_path / "own") as first,
        deployer(database, tmp_path / "own") as second,
    ):
        connection.execute("SELECT pg_advisory_lock(4711)")
        ends = monotonic() + 60
        while len(database.ask(BOTH_THERE)) < 2:
            assert (first.poll(), second.poll()) == (None, None)
            assert monotonic() < ends
        connection.execute("SELECT pg_advisory_unlock(4711)")
        said = sorted(process.communicate()[0] for process in (first, second))
        applied = b"applied own 0001_step.sql\napplied own 0002_step.sql\n"
        assert said == [applied + DONE, DONE]
    assert apply(database, line) == []
    assert database.ask("SELECT number FROM storekit.migration WHERE line = 'own'") == [(1,), (2,)]
