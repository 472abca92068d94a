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
from storekit.drivers.postgres.prepared import Prepared
from tests.support.entities import Everything

ECHO = "SELECT $1::text"


@pytest.fixture
def session(embedded: Store) -> Iterator[psycopg.Connection[Any]]:
    assert embedded.settings.postgres_url
    with psycopg.connect(embedded.settings.postgres_url.get_secret_value(), autocommit=True) as connection:
        yield connection


def run(session: psycopg.Connection[Any], statements: list[Any], prepared: Prepared | None) -> Any:
    """Send one exchange as the client that has prepared these statements; return its results."""
    waiting = exchange(session.pgconn, statements, prepared)
    while True:
        try:
            next(waiting)
        except StopIteration as stop:
            return stop.value


def pipeline(
    session: psycopg.Connection[Any], prepared: Prepared, *values: bytes, text: str = ECHO
) -> list[bytes | None]:
    """Send one statement with each of the values."""
    results = run(session, [(text, [value]) for value in values], prepared)
    return [result.get_value(0, 0) for result in results]


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
    assert pipeline(session, Prepared(), b"one") == [b"one"]
    with pytest.raises(ConfigurationError, match="POSTGRES_PREPARE=false"):
        pipeline(session, Prepared(), b"another")


def test_statements_that_a_session_loses_are_prepared_again(session: psycopg.Connection[Any]) -> None:
    """After DEALLOCATE ALL a call is sent once more and succeeds; if it happens again, a pooler is the cause,
    and the error says which setting to change."""
    prepared = Prepared()
    pipeline(session, prepared, b"here")
    session.execute("DEALLOCATE ALL")
    assert pipeline(session, prepared, b"once") == [b"once"]
    assert pipeline(session, prepared, b"prepared anew") == [b"prepared anew"]
    assert len(prepared) == 1
    session.execute("DEALLOCATE ALL")
    with pytest.raises(ConfigurationError, match="POSTGRES_PREPARE=false"):
        pipeline(session, prepared, b"elsewhere")


CHANGES = {
    "result type": "ALTER TABLE changing ALTER kind TYPE text",
    "another type": """ALTER TABLE changing ALTER kind DROP DEFAULT, ALTER kind TYPE pg_temp.later
        USING kind::text::pg_temp.later""",
    "dropped type": """ALTER TABLE changing ALTER kind TYPE pg_temp.later USING kind::text::pg_temp.later;
        DROP TYPE pg_temp.earlier""",
}


@pytest.mark.parametrize("explicit", [False, True], ids=["implicit", "BEGIN"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_table_costs_one_more_trip(
    session: psycopg.Connection[Any], change: str, explicit: bool
) -> None:
    """An exchange with statements of a table that has changed since is sent once more, as a whole; it writes
    once, and later exchanges use statements that were prepared anew."""
    session.execute(
        """CREATE TYPE pg_temp.earlier AS ENUM ('a', 'b'); CREATE TYPE pg_temp.later AS ENUM ('a');
        CREATE TEMP TABLE changing (n int, kind pg_temp.earlier);
        CREATE TEMP TABLE writes (n int); INSERT INTO changing VALUES (1, 'a')""",
        prepare=False,
    )
    exchanged: list[Any] = [
        *([("BEGIN", [])] if explicit else []),
        ("INSERT INTO writes VALUES (1) RETURNING n", []),
        ("SELECT n, kind FROM changing WHERE kind = $1", [b"a"]),
        *([("COMMIT", [])] if explicit else []),
    ]
    prepared = Prepared()
    for _ in range(2):
        run(session, exchanged, prepared)
    session.execute(CHANGES[change])
    for calls in range(3, 5):
        found = run(session, exchanged, prepared)[1 + explicit]
        assert (found.get_value(0, 0), found.get_value(0, 1)) == (b"1", b"a")
        assert session.execute("SELECT count(*) FROM writes").fetchone() == (calls,)
    assert len(prepared) == len(exchanged)
    assert all(name.endswith(b"_1") for name in prepared.values())


def test_another_error_forgets_no_statement(session: psycopg.Connection[Any]) -> None:
    """A statement that fails without prepared statements too raises its error; those of others are kept."""
    prepared = Prepared()
    pipeline(session, prepared, b"here")
    kept = dict(prepared)
    with pytest.raises(ConfigurationError, match="does not match"):
        pipeline(session, prepared, b"x", text="SELECT no_such_function($1::text)")
    assert prepared == kept


def test_clients_do_not_run_each_others_statements(session: psycopg.Connection[Any]) -> None:
    """Whatever two clients of one session prepare, in any order, each gets its own result."""
    one = Prepared()
    other = Prepared()
    for _ in range(2):
        assert pipeline(session, one, b"x") == [b"x"]
        assert pipeline(session, other, b"x", text="SELECT upper($1::text)") == [b"X"]


def test_a_statement_is_prepared_once_per_pipeline(session: psycopg.Connection[Any]) -> None:
    """A statement that occurs twice in a pipeline, unprepared, returns two results."""
    assert pipeline(session, Prepared(), b"one", b"two") == [b"one", b"two"]


def test_prepared_statements_can_be_disabled() -> None:
    """POSTGRES_PREPARE=false disables them; a value that is not a boolean raises an error with its name."""
    assert Settings.from_env({}).prepare
    switched = Settings.from_env({"POSTGRES_PREPARE": "false"})
    assert not switched.prepare
    assert Settings.from_env(switched.to_env()) == switched
    with pytest.raises(ConfigurationError, match="POSTGRES_PREPARE"):
        Settings.from_env({"POSTGRES_PREPARE": "perhaps"})
