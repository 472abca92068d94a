"""The sequencer: every committed event gets one position, whatever the order of the commits."""

from __future__ import annotations

import random
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from storekit import Settings, Unavailable
from storekit.assembly import Assembly
from storekit.bridge import run
from storekit.cli.relay import examine
from storekit.flows.context import NIL, Actor, Context
from storekit.flows.sequence import work
from storekit.model.values.event_hash import COLUMNS, broken
from storekit.ports.statements import Work
from storekit.settings import Login
from tests.support.postgres import Database, sample_database
from tests.support.sequencing import begin, expire_lease, relay_process, sequence, until


@pytest.fixture
def log(cluster: str, tmp_path: Any) -> Iterator[Database]:
    """Create a database whose log no other test uses."""
    with sample_database(cluster, tmp_path) as database:
        yield database


def settings(database: Database) -> Settings:
    return Settings.model_validate({"postgres_worker_url": database.url("worker")})


def positions(database: Database) -> list[tuple[int, str]]:
    """Return position and title of all events of jobs."""
    return [
        (pos, title)
        for pos, title in database.ask(
            "SELECT pos, after ->> 'title' FROM storekit.domain_event ORDER BY pos"
        )
    ]


def test_a_late_commit_is_not_lost(log: Database) -> None:
    """Of two commits in reverse order, a reader by id loses exactly one event, a reader by pos none."""
    tenant, naive, seen = uuid4(), list[str](), list[str]()
    by_id, by_pos = 0, 0

    def read() -> None:
        nonlocal by_id, by_pos, naive, seen
        for number, title in log.ask(
            "SELECT id, after ->> 'title' FROM storekit.event WHERE id > %s ORDER BY id", by_id
        ):
            by_id, naive = number, [*naive, title]
        sequence(log)
        for pos, title in positions(log)[by_pos:]:
            by_pos, seen = pos, [*seen, title]

    with log.connect() as first, log.connect() as second:
        for connection, title in ((first, "first"), (second, "second")):
            begin(connection, tenant)
            connection.execute("INSERT INTO jobs (title) VALUES (%s)", [title])
        second.execute("COMMIT")
        read()
        first.execute("COMMIT")
        read()
    assert (naive, seen) == (["second"], ["second", "first"])


def _write(
    database: Database, number: int, changes: int, journal: list[list[Any]], ended: Event | None = None
) -> None:
    """Change rows in transactions of random length, some of which roll back; keep what was committed."""
    chance, tenant = random.Random(number), UUID(int=1 + number % 4)
    own: list[str] = []
    with database.connect() as connection:
        while changes > 0 and not (ended and ended.is_set()):
            begin(connection, tenant)
            done, made = [], []
            for _ in range(chance.randint(1, 6)):
                if own and chance.random() < 0.6:
                    ref_id = chance.choice(own)
                    found = connection.execute(
                        "UPDATE jobs SET title = title || '.' WHERE ref_id = %s RETURNING ref_id, version",
                        [ref_id],
                    ).fetchone()
                else:
                    found = connection.execute(
                        "INSERT INTO jobs (title) VALUES ('x') RETURNING ref_id, version"
                    ).fetchone()
                    assert found is not None
                    made.append(found[0])
                done.append(found)
            if chance.random() < 0.1:
                connection.execute("ROLLBACK")
                continue
            connection.execute("COMMIT")
            own += made
            journal.append(done)
            changes -= len(done)


def _race(database: Database, threads: int, changes: int) -> tuple[int, int]:
    """Return the number of events and how many a reader by id lost, after checking the log."""
    journal: list[list[Any]] = []
    ended, naive, by_id = Event(), 0, 0

    def move() -> None:
        while not ended.is_set():
            sequence(database, 200)

    def read_by_id() -> None:
        nonlocal naive, by_id
        while not ended.is_set():
            for number, *_ in database.ask("SELECT id FROM storekit.event WHERE id > %s ORDER BY id", by_id):
                naive, by_id = naive + 1, number

    with ThreadPoolExecutor(threads + 3) as pool:
        others = [pool.submit(move), pool.submit(move), pool.submit(read_by_id)]
        writers = [pool.submit(_write, database, n, changes // threads, journal) for n in range(threads)]
        try:
            for each in writers:
                each.result()
        finally:
            ended.set()
        for each in others:
            each.result()
    sequence(database, 1_000_000)
    written = [tuple(change) for transaction in journal for change in transaction]
    rows = database.ask("SELECT pos, ref_id, version FROM storekit.domain_event ORDER BY pos")
    assert [pos for pos, *_ in rows] == list(range(1, len(written) + 1))
    assert sorted(written) == sorted((ref_id, version) for _, ref_id, version in rows)
    versions = defaultdict[str, list[int]](list)
    for _, ref_id, version in rows:
        versions[ref_id].append(version)
    assert all(each == sorted(each) for each in versions.values())
    query = f"SELECT {COLUMNS} FROM storekit.domain_event WHERE tenant_id = %s ORDER BY seq"
    with psycopg.connect(database.url("postgres"), row_factory=dict_row) as connection:
        for tenant in range(1, 5):
            events = connection.execute(query.encode(), [UUID(int=tenant)]).fetchall()
            assert events
            assert broken(events) == []
    return len(rows), len(rows) - naive


def test_many_writers_lose_no_event(log: Database) -> None:
    """16 writers and 2 sequencers: each committed event has one position, in the order of its record."""
    assert _race(log, threads=16, changes=1_600)[0] >= 1_600


@pytest.mark.long
def test_many_writers_lose_no_event_the_long_way(log: Database, record_property: Callable[..., None]) -> None:
    """The same with 25,000 events."""
    events, lost = _race(log, threads=16, changes=25_600)
    assert events >= 25_000
    record_property("a reader by id lost", lost)
    print(f"{events} events: 0 lost by position, {lost} by id")


def test_without_a_partition_no_write_fails(log: Database) -> None:
    """Without the partition that it needs, the sequencer stalls, writes commit, and doctor says so."""
    tenant = uuid4()

    def write(title: str) -> None:
        with log.connect() as connection:
            begin(connection, tenant)
            connection.execute("INSERT INTO jobs (title) VALUES (%s)", [title])
            connection.execute("COMMIT")

    write("before")
    sequence(log)
    log.ask("ALTER TABLE storekit.domain_event DETACH PARTITION storekit.domain_event_0001")
    write("without")
    with pytest.raises(psycopg.errors.CheckViolation):
        sequence(log)
    (found,) = (each for each in examine(settings(log)) if each.subject == "partitions")
    assert found.wrong
    assert "missing" in found.text
    log.ask(
        "ALTER TABLE storekit.domain_event ATTACH PARTITION storekit.domain_event_0001"
        " FOR VALUES FROM (1) TO (10000001)"
    )
    sequence(log)
    assert positions(log) == [(1, "before"), (2, "without")]


def test_partitions_are_created_ahead(log: Database) -> None:
    """A relay creates the next partition before it is needed, so that moves never wait for it."""
    log.ask("ALTER TABLE storekit.domain_event DETACH PARTITION storekit.domain_event_0001")
    log.ask("DROP TABLE storekit.domain_event_0001")
    log.ask("UPDATE storekit.event_head SET room_until = 1, partition_size = 100")
    with log.connect() as connection:
        begin(connection, uuid4())
        connection.execute("INSERT INTO jobs (title) SELECT n::text FROM generate_series(1, 350) AS n")
        connection.execute("COMMIT")
    with relay_process(log):
        until(lambda: log.ask("SELECT pos FROM storekit.event_head") == [(350,)])
    assert [pos for pos, _ in positions(log)] == list(range(1, 351))
    [(room,)] = log.ask("SELECT room_until - pos FROM storekit.event_head")
    assert room > 50


def test_the_server_bounds_the_calls_of_a_relay(log: Database) -> None:
    """If the head is locked, the call of a relay ends after its time, as an error that can be retried."""
    assembly = Assembly(settings(log), asynchronous=False)
    context = Context(assembly.acting_as(Login.WORKER), Actor(NIL, "test"))
    call = Work("relay", ("me", timedelta(seconds=5), 10), timedelta(milliseconds=200))
    try:
        with log.connect("postgres") as other, other.transaction():
            other.execute("SELECT FROM storekit.event_head FOR UPDATE")
            with pytest.raises(Unavailable):
                run(work(context, call))
        assert run(work(context, call))["moved"] == 0
    finally:
        run(assembly.close())


def test_a_relay_works_whatever_the_default_isolation_is(log: Database) -> None:
    """The move runs in READ COMMITTED, also if the login has another default."""
    log.ask("ALTER ROLE worker SET default_transaction_isolation = 'serializable'")
    try:
        with relay_process(log):
            until(lambda: log.ask("SELECT complete_through FROM storekit.event_head")[0][0])
        with pytest.raises(psycopg.Error, match="READ COMMITTED"):
            sequence(log)
    finally:
        log.ask("ALTER ROLE worker RESET default_transaction_isolation")


def test_one_relay_leads_and_another_takes_over(log: Database) -> None:
    """Of two relays one leads; when it ends, the other one leads with the next term."""
    with relay_process(log) as first:
        [(term, holder)] = until(lambda: log.ask("SELECT term, holder FROM storekit.lease"))
        with relay_process(log):
            first.send_signal(signal.SIGTERM)
            first.wait()
            [(later, other)] = until(
                lambda: log.ask("SELECT term, holder FROM storekit.lease WHERE term > %s", term)
            )
    assert (later, other != holder) == (term + 1, True)


def _kill(database: Database, times: int) -> int:
    journal: list[list[Any]] = []
    ended = Event()

    def position() -> int:
        [(pos,)] = database.ask("SELECT pos FROM storekit.event_head")
        return int(pos)

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(_write, database, n, 10**9, journal, ended) for n in range(2)]
        try:
            for _ in range(times):
                with relay_process(database) as relay:
                    before = position()
                    until(partial(_beyond, position, before))
                    relay.kill()
                    relay.wait()
                expire_lease(database)
        finally:
            ended.set()
        for each in writers:
            each.result()
    sequence(database, 1_000_000)
    written = sorted(tuple(change) for transaction in journal for change in transaction)
    rows = database.ask("SELECT pos, ref_id, version FROM storekit.domain_event ORDER BY pos")
    assert [pos for pos, *_ in rows] == list(range(1, len(written) + 1))
    assert sorted((ref_id, version) for _, ref_id, version in rows) == written
    return len(rows)


def _beyond(position: Callable[[], int], before: int) -> bool:
    return position() > before


def test_a_killed_relay_loses_nothing(log: Database) -> None:
    """kill -9 of a relay under load, 5 times: no event is lost, and none has two positions."""
    _kill(log, 5)


@pytest.mark.long
def test_a_killed_relay_loses_nothing_the_long_way(log: Database) -> None:
    """The same with 100 kills."""
    print(f"100 kills, {_kill(log, 100)} events: 0 lost, 0 twice")


def test_a_frozen_relay_is_reported(log: Database) -> None:
    """If a relay is stopped by SIGSTOP, doctor reports the missing sign and the lag within two intervals."""
    with relay_process(log) as relay:
        assert not any(each.wrong for each in until(lambda: _healthy(log)))
        relay.send_signal(signal.SIGSTOP)
        with log.connect() as connection:
            begin(connection, uuid4())
            connection.execute("INSERT INTO jobs (title) VALUES ('x')")
            connection.execute("COMMIT")
        found = until(lambda: {each.subject for each in examine(settings(log)) if each.wrong}, seconds=20)
        assert "sequencer" in found
        until(
            lambda: {"sequencer", "lag"} <= {e.subject for e in examine(settings(log)) if e.wrong}, seconds=20
        )


def _healthy(database: Database) -> list[Any]:
    found = examine(settings(database))
    return [] if any(each.wrong for each in found) else found


def test_a_move_notifies_once(log: Database) -> None:
    """Each move that moves events sends one notification with the last position; writers send none."""
    with log.connect() as listener, log.connect() as connection:
        listener.execute("LISTEN storekit_event")
        begin(connection, uuid4())
        connection.execute("INSERT INTO jobs (title) SELECT 'x' FROM generate_series(1, 5)")
        connection.execute("COMMIT")
        assert list(listener.notifies(timeout=0)) == []
        sequence(log)
        sequence(log)
        assert [each.payload for each in listener.notifies(timeout=1, stop_after=2)] == ["5"]
