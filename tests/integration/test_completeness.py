"""Up to which time the log of events is complete: never later than the truth."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from storekit import Settings
from storekit.cli.relay import examine
from tests.support.postgres import BINARIES, Database, fresh_cluster, sample_database
from tests.support.sequencing import begin, bound, sequence, until


@pytest.fixture
def log(cluster: str, tmp_path: Any) -> Iterator[Database]:
    with sample_database(cluster, tmp_path) as database:
        yield database


def now(database: Database) -> datetime:
    [(found,)] = database.ask("SELECT clock_timestamp()")
    assert isinstance(found, datetime)
    return found


def require(found: datetime | None) -> datetime:
    assert found is not None
    return found


def insert(connection: psycopg.Connection[Any]) -> None:
    connection.execute("INSERT INTO jobs (title) VALUES ('x')")


@pytest.mark.parametrize("writes_first", [True, False])
def test_an_open_transaction_holds_completeness_back(log: Database, writes_first: bool) -> None:
    """While a transaction is open, complete_through is before its start, also if it has not written yet."""
    with log.connect() as late, log.connect() as other:
        since = begin(late, uuid4())
        if writes_first:
            insert(late)
        for _ in range(3):
            begin(other, uuid4())
            insert(other)
            other.execute("COMMIT")
            assert require(bound(log)) < since
        insert(late)
        assert require(bound(log)) < since
        late.execute("COMMIT")
    ended = now(log)
    sequence(log)
    assert require(bound(log)) > since
    [(last,)] = log.ask("SELECT occurred_on FROM storekit.domain_event ORDER BY pos DESC LIMIT 1")
    assert last == since < ended


def test_who_holds_completeness_back_is_named(log: Database) -> None:
    """doctor names the pid, the role and the age of the oldest transaction."""
    with log.connect() as late:
        begin(late, uuid4())
        sequence(log)
        checks = examine(Settings.model_validate({"postgres_worker_url": log.url("worker")}))
        (found,) = (each for each in checks if each.subject == "complete_through")
        assert f"pid {late.info.backend_pid}, role app, idle in transaction" in found.text


def test_a_margin_is_kept(log: Database) -> None:
    """A session shows the start of its transaction a moment late, so a second is left out."""
    before = now(log)
    sequence(log, margin="1 second")
    [(through,)] = log.ask("SELECT complete_through FROM storekit.event_head")
    assert (before - through).total_seconds() < 1.5
    assert (now(log) - through).total_seconds() >= 1


def test_what_waits_in_the_inbox_holds_completeness_back(log: Database) -> None:
    """If a move leaves events in the inbox, complete_through stays."""
    with log.connect() as connection:
        first = bound(log)
        begin(connection, uuid4())
        connection.execute("INSERT INTO jobs (title) SELECT 'x' FROM generate_series(1, 5)")
        connection.execute("COMMIT")
    sequence(log, limit=3)
    assert log.ask("SELECT complete_through FROM storekit.event_head") == [(first,)]
    assert require(bound(log)) > require(first)


def test_completeness_by_sequenced_on_is_exact(log: Database) -> None:
    """No later move has a sequenced_on that was published before, and it never decreases."""
    published = []
    for _ in range(5):
        with log.connect() as connection:
            begin(connection, uuid4())
            insert(connection)
            connection.execute("COMMIT")
        sequence(log)
        published += log.ask("SELECT pos, sequenced_on FROM storekit.event_head")
    for pos, on in published:
        assert log.ask(
            "SELECT count(*) FROM storekit.domain_event WHERE (pos <= %s) <> (sequenced_on <= %s)", pos, on
        ) == [(0,)]


def test_a_session_without_activity_statistics_stops_completeness(log: Database) -> None:
    """If a session hides when its transaction began, complete_through stays and doctor says why."""
    with log.connect("postgres") as hidden:
        hidden.execute("SET track_activities = off")
        before = bound(log)
        hidden.execute("SELECT 1")
        assert bound(log) == before
        checks = examine(Settings.model_validate({"postgres_worker_url": log.url("worker")}))
        assert any("track_activities off" in each.text for each in checks)


def test_without_the_grant_nothing_is_complete(log: Database) -> None:
    """A worker that may not see the sessions of others never publishes a time, and doctor says why."""
    log.ask("REVOKE pg_read_all_stats FROM storekit_worker", login="admin")
    try:
        assert bound(log) is None
        checks = examine(Settings.model_validate({"postgres_worker_url": log.url("worker")}))
        assert any("not a member of pg_read_all_stats" in each.text for each in checks)
    finally:
        log.ask("GRANT pg_read_all_stats TO storekit_worker", login="admin")


def test_a_prepared_transaction_holds_completeness_back(tmp_path: Any) -> None:
    """While a transaction is prepared, complete_through is before its start, and doctor names it."""
    with (
        fresh_cluster(BINARIES, "max_prepared_transactions=5") as cluster,
        sample_database(cluster, tmp_path) as log,
        log.connect("postgres") as late,
    ):
        tenant = uuid4()
        bound(log)
        since = begin(late, tenant)
        insert(late)
        late.execute("PREPARE TRANSACTION 'two phases'")
        for _ in range(3):
            with log.connect() as other:
                begin(other, uuid4())
                insert(other)
                other.execute("COMMIT")
            assert require(bound(log)) < since
        checks = examine(Settings.model_validate({"postgres_worker_url": log.url("worker")}))
        assert any("'two phases', prepared by postgres" in each.text for each in checks)
        late.execute("COMMIT PREPARED 'two phases'")
        assert require(bound(log)) > since
        assert log.ask("SELECT count(*) FROM storekit.domain_event WHERE occurred_on = %s", since) == [(1,)]


def test_transactions_of_one_query_begin_when_it_arrives(log: Database) -> None:
    """Several transactions in one query have its arrival as their start, and it holds completeness back."""
    with log.connect("postgres") as lock, log.connect() as late:
        lock.execute("SELECT pg_advisory_lock(7)")
        arrived = now(log)
        late.pgconn.send_query(
            b"BEGIN; SELECT pg_advisory_xact_lock(7); COMMIT; BEGIN;"
            b" SELECT set_config('storekit.tenant', '00000000-0000-0000-0000-000000000001', true);"
            b" INSERT INTO jobs (title) VALUES ('x'); COMMIT"
        )
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = %s"
        until(lambda: log.ask(waiting, late.info.backend_pid))
        published = require(bound(log))
        lock.execute("SELECT pg_advisory_unlock(7)")
        while late.pgconn.get_result() is not None:
            continue
    sequence(log)
    [(occurred,)] = log.ask("SELECT occurred_on FROM storekit.domain_event")
    assert arrived < occurred
    assert published < occurred


def _schedule(log: Database, seed: int, connections: list[psycopg.Connection[Any]]) -> int:
    """Run a random schedule, and return how many events came after a time that was published before."""
    chance, published = random.Random(seed), list[tuple[int, datetime]]()
    is_open = [False] * len(connections)

    def step(i: int) -> None:
        connection = connections[i]
        if not is_open[i]:
            begin(connection, uuid4())
            is_open[i] = True
        elif chance.random() < 0.6:
            insert(connection)
        else:
            connection.execute("COMMIT" if chance.random() < 0.8 else "ROLLBACK")
            is_open[i] = False

    def publish(worker: psycopg.Connection[Any], limit: int) -> None:
        worker.execute("SELECT storekit.sequence_v1(%s, '0')", [limit])
        found = worker.execute("SELECT pos, complete_through FROM storekit.event_head").fetchone()
        assert found is not None
        if found[1] is not None:
            published.append((found[0], found[1]))

    worker = connections[-1]
    for _ in range(30):
        if chance.random() < 0.3:
            publish(worker, chance.choice([1, 3, 100]))
        else:
            step(chance.randrange(len(connections) - 1))
    for i in range(len(connections) - 1):
        if is_open[i]:
            connections[i].execute("COMMIT")
    publish(worker, 1000)
    wrong = 0
    for pos, through in published:
        found = worker.execute(
            "SELECT count(*) FROM storekit.domain_event WHERE pos > %s AND occurred_on <= %s", [pos, through]
        ).fetchone()
        assert found is not None
        wrong += found[0]
    return wrong


def _schedules(log: Database, count: int) -> None:
    connections = [psycopg.connect(log.url(login), autocommit=True) for login in ("app",) * 4 + ("worker",)]
    try:
        for seed in range(count):
            assert _schedule(log, seed, connections) == 0, f"seed {seed}"
    finally:
        for each in connections:
            each.close()


def test_random_schedules_never_publish_too_much(log: Database) -> None:
    """In 25 random schedules of writers and moves, no event occurs at or before a time published earlier."""
    _schedules(log, 25)


@pytest.mark.long
def test_random_schedules_never_publish_too_much_the_long_way(log: Database) -> None:
    """The same with 1,000 schedules."""
    _schedules(log, 1000)
