"""storekit works in any session, and reports a session that it shares with other clients."""

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


def pipeline(
    session: psycopg.Connection[Any], prepared: dict[str, bytes], *values: bytes, text: str = ECHO
) -> list[bytes | None]:
    """Send one pipeline as the client that has prepared these statements."""
    waiting = exchange(session.pgconn, [(text, [value]) for value in values], prepared)
    while True:
        try:
            next(waiting)
        except StopIteration as stop:
            return [result.get_value(0, 0) for result in stop.value]


def test_session_settings_do_not_change_results(embedded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Timestamps are returned in UTC and dates in ISO form, whatever time zone and style the session has."""
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


def test_a_statement_prepared_by_another_client_is_reported(
    session: psycopg.Connection[Any],
) -> None:
    """If two clients of one session prepare the same statement, the error says which setting to change."""
    assert pipeline(session, {}, b"one") == [b"one"]
    with pytest.raises(ConfigurationError, match="POSTGRES_PREPARE=false"):
        pipeline(session, {}, b"another")


def test_a_statement_prepared_in_another_session_is_reported(
    session: psycopg.Connection[Any],
) -> None:
    """If a session lacks the client's statements, the error says which setting to change."""
    prepared: dict[Any, Any] = {}
    pipeline(session, prepared, b"here")
    session.execute("DEALLOCATE ALL")
    with pytest.raises(ConfigurationError, match="POSTGRES_PREPARE=false"):
        pipeline(session, prepared, b"elsewhere")


def test_clients_do_not_run_each_others_statements(session: psycopg.Connection[Any]) -> None:
    """Whatever two clients of one session prepare, in any order, each gets its own result."""
    one: dict[str, bytes] = {}
    other: dict[str, bytes] = {}
    for _ in range(2):
        assert pipeline(session, one, b"x") == [b"x"]
        assert pipeline(session, other, b"x", text="SELECT upper($1::text)") == [b"X"]


def test_a_statement_is_prepared_once_per_pipeline(session: psycopg.Connection[Any]) -> None:
    """A statement that occurs twice in a pipeline, unprepared, returns two results."""
    assert pipeline(session, {}, b"one", b"two") == [b"one", b"two"]


def test_prepared_statements_can_be_disabled() -> None:
    """POSTGRES_PREPARE=false disables them; a value that is not a boolean raises an error with its name."""
    assert Settings.from_env({}).prepare
    switched = Settings.from_env({"POSTGRES_PREPARE": "false"})
    assert not switched.prepare
    assert Settings.from_env(switched.to_env()) == switched
    with pytest.raises(ConfigurationError, match="POSTGRES_PREPARE"):
        Settings.from_env({"POSTGRES_PREPARE": "perhaps"})
