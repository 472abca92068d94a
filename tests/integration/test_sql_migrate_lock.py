"""The lock of migrate: any login of the database can take it, so the wait for it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from storekit.drivers.postgres.admin import lock
from storekit.drivers.postgres.admin.runner import migrate
from storekit.errors import Unavailable
from storekit.schema.lines import core
from tests.support.postgres import Database, migrated_database

TAKE = "SELECT pg_advisory_lock(hashtextextended('storekit.migrate', 0))"


@pytest.fixture(scope="module")
def database(cluster: str) -> Iterator[Database]:
    with migrated_database(cluster) as made:
        yield made


@pytest.mark.parametrize("login", ["admin", "app"])
def test_the_wait_for_the_lock_ends(database: Database, login: str) -> None:
    """After the time limit migrate raises Unavailable, which names the session that holds the lock: its pid,
    its login, and since when it is connected."""
    with database.connect(login) as holder:
        holder.execute(TAKE)
        with pytest.raises(Unavailable) as caught:
            migrate(database.url("admin"), [core()], wait=timedelta(seconds=0.3))
        said = str(caught.value)
        assert f"the session with pid {holder.info.backend_pid} of login {login}" in said
        row = holder.execute("SELECT to_char(now(), 'YYYY-MM-DD')").fetchone()
        assert row
        assert f"connected since {row[0]}" in said
    assert migrate(database.url("admin"), [core()]) == []


def test_the_start_of_a_session_that_postgres_hides(database: Database) -> None:
    """A login that may not see when other sessions began is told their pid and login only."""
    with database.connect("app") as holder, database.connect("auditor") as waiting:
        holder.execute(TAKE)
        with pytest.raises(Unavailable) as caught:
            lock.lock(waiting, timedelta(0))
        named = f"the session with pid {holder.info.backend_pid} of login app holds"
        assert named in str(caught.value)


def test_a_long_wait_is_reported(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While migrate waits, it logs one warning that names the holder."""
    monkeypatch.setattr(lock, "_PATIENCE", 0.0)
    with database.connect("app") as holder, caplog.at_level(logging.WARNING, "storekit.migrate"):
        holder.execute(TAKE)
        with pytest.raises(Unavailable):
            migrate(database.url("admin"), [core()], wait=timedelta(seconds=0.3))
    (record,) = caplog.records
    assert "of login app, connected since" in record.getMessage()


def test_a_lock_of_another_database_does_not_matter(database: Database) -> None:
    """The lock of one database does not keep another one waiting."""
    with psycopg.connect(database.super_url) as other:
        other.execute(TAKE)
        assert migrate(database.url("admin"), [core()], wait=timedelta(0)) == []
