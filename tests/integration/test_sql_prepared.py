"""The number of prepared statements of a connection."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from storekit.drivers.postgres import prepared as limits
from storekit.drivers.postgres.exchange import exchange
from storekit.drivers.postgres.prepared import Prepared
from storekit.errors import StorekitError
from tests.support.postgres import Database

COUNT = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'sk%'"


@pytest.fixture
def session(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with database.connect() as connection:
        yield connection


@pytest.fixture(autouse=True)
def five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST", 5)


def run(session: psycopg.Connection[Any], texts: list[str], prepared: Prepared) -> list[bytes | None]:
    waiting = exchange(session.pgconn, [(text, []) for text in texts], prepared)
    while True:
        try:
            next(waiting)
        except StopIteration as stop:
            return [result.get_value(0, 0) for result in stop.value]


def kept(session: psycopg.Connection[Any]) -> int:
    row = session.execute(COUNT.encode(), prepare=False).fetchone()
    assert row
    return int(row[0])


def test_statements_that_were_not_used_for_longest_are_closed(session: psycopg.Connection[Any]) -> None:
    """A connection keeps a limited number of statements, on the server too; those in use stay, and a closed
    one is prepared again."""
    prepared = Prepared()
    for number in range(40):
        assert run(session, ["SELECT 'always'", f"SELECT {number}"], prepared) == [
            b"always",
            str(number).encode(),
        ]
        assert len(prepared) == kept(session) == min(number + 2, 5)
    assert set(prepared) == {"SELECT 'always'", *(f"SELECT {number}" for number in range(36, 40))}
    assert run(session, ["SELECT 3"], prepared) == [b"3"]
    assert kept(session) == 5


def test_an_exchange_may_have_more_statements_than_the_limit(session: psycopg.Connection[Any]) -> None:
    """An exchange with many statements works; the next one closes those that are too many."""
    prepared = Prepared()
    texts = [f"SELECT {number}" for number in range(20)]
    for _ in range(2):
        assert run(session, texts, prepared) == [str(number).encode() for number in range(20)]
    assert run(session, ["SELECT 'x'"], prepared) == [b"x"]
    assert len(prepared) == kept(session) == 5


def test_a_refused_exchange_closes_what_it_forgot(session: psycopg.Connection[Any]) -> None:
    """After an error the client and the server have the same statements."""
    prepared = Prepared()
    for number in itertools.chain(range(10), range(10)):
        with pytest.raises(StorekitError):
            run(session, ["SELECT 1/0", f"SELECT {number}"], prepared)
        assert run(session, [f"SELECT {number}"], prepared) == [str(number).encode()]
        assert len(prepared) == kept(session) <= 5


def test_statements_of_a_changed_table_are_closed(session: psycopg.Connection[Any]) -> None:
    """Statements that were forgotten because a table has changed do not stay on the server."""
    prepared = Prepared()
    session.execute("CREATE TEMP TABLE shape (a int); INSERT INTO shape VALUES (1)", prepare=False)
    for kind in ("bigint", "text", "bigint", "text", "bigint"):
        run(session, ["SELECT a FROM shape"], prepared)
        session.execute(f"ALTER TABLE shape ALTER a TYPE {kind} USING a::{kind}".encode(), prepare=False)
        run(session, ["SELECT a FROM shape"], prepared)
        run(session, ["SELECT a FROM shape"], prepared)
        assert len(prepared) == kept(session) == 1


def test_an_older_libpq_sends_further_statements_unprepared(
    session: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A libpq that cannot close statements prepares no more than the limit, and sends the others each
    time."""
    monkeypatch.setattr(limits, "_CAN_CLOSE", False)
    prepared = Prepared()
    for number in itertools.chain(range(10), range(10)):
        assert run(session, [f"SELECT {number}"], prepared) == [str(number).encode()]
    assert len(prepared) == kept(session) == 5
