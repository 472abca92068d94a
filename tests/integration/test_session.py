"""What storekit sends needs no session of its own, and notices that it shares one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from storekit import ConfigurationError, Settings, Store
from storekit.drivers.postgres.exchange import exchange
from tests.support.entities import Everything

ECHO = "SELECT $1::text"


@pytest.fixture
def session(embedded: Store) -> Iterator[psycopg.Connection[Any]]:
    assert embedded.settings.postgres_url
    with psycopg.connect(embedded.settings.postgres_url.get_secret_value(), autocommit=True) as connection:
        yield connection


def ask(
    session: psycopg.Connection[Any], prepared: dict[str, bytes], *values: bytes, text: str = ECHO
) -> list[bytes | None]:
    """Send one pipeline as the client that knows these prepared statements."""
    waiting = exchange(session.pgconn, [(text, [value]) for value in values], prepared)
    while True:
        try:
            next(waiting)
        except StopIteration as stop:
            return [result.get_value(0, 0) for result in stop.value]


def test_a_session_of_other_habits_changes_nothing_that_is_read(
    embedded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instants come back in UTC and dates as they are, whatever time zone and style the session has."""
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    monkeypatch.setenv("PGDATESTYLE", "German")
    # in Tokyo this is the year 10000
    moment, day = datetime(9999, 12, 31, 23, 30, tzinfo=UTC), date(2026, 3, 4)
    with Store.open(embedded.settings) as store:
        everything = store.scope(tenant=uuid4(), actor="test").repository(Everything)
        saved = everything.save(Everything(moment=moment, day=day))
        found = everything.get(saved.ref_id)
    assert (found.moment, found.day, found.created_on) == (moment, day, saved.created_on)
    assert found.moment is not None
    assert found.created_on is not None
    assert (found.moment.tzinfo, found.created_on.tzinfo) == (UTC, UTC)


def test_a_statement_that_another_client_has_prepared_tells_of_the_pooler(
    session: psycopg.Connection[Any],
) -> None:
    """Two clients of one session that prepare the same statement are told what to switch off."""
    assert ask(session, {}, b"one") == [b"one"]
    with pytest.raises(ConfigurationError, match="POSTGRES_PREPARE=false"):
        ask(session, {}, b"another")


def test_a_statement_that_was_prepared_elsewhere_tells_of_the_pooler(
    session: psycopg.Connection[Any],
) -> None:
    """A client that finds itself in a session without its statements is told what to switch off."""
    prepared: dict[Any, Any] = {}
    ask(session, prepared, b"here")
    session.execute("DEALLOCATE ALL")
    with pytest.raises(ConfigurationError, match="POSTGRES_PREPARE=false"):
        ask(session, prepared, b"elsewhere")


def test_no_client_runs_the_statement_of_another(session: psycopg.Connection[Any]) -> None:
    """Whatever two clients of one session prepare, and in whatever order, each gets its own answer."""
    one: dict[str, bytes] = {}
    other: dict[str, bytes] = {}
    for _ in range(2):
        assert ask(session, one, b"x") == [b"x"]
        assert ask(session, other, b"x", text="SELECT upper($1::text)") == [b"X"]


def test_a_statement_is_prepared_once_for_a_pipeline(session: psycopg.Connection[Any]) -> None:
    """A statement that a pipeline holds twice, and nobody has prepared yet, is answered twice."""
    assert ask(session, {}, b"one", b"two") == [b"one", b"two"]


def test_prepared_statements_are_switched_off_in_the_environment() -> None:
    """POSTGRES_PREPARE=false does it; a value that is no boolean is refused by the variable's name."""
    assert Settings.from_env({}).prepare
    switched = Settings.from_env({"POSTGRES_PREPARE": "false"})
    assert not switched.prepare
    assert Settings.from_env(switched.to_env()) == switched
    with pytest.raises(ConfigurationError, match="POSTGRES_PREPARE"):
        Settings.from_env({"POSTGRES_PREPARE": "perhaps"})
