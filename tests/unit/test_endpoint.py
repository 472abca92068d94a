"""Classification of failed logins by the recorded texts of servers and poolers."""

from __future__ import annotations

import psycopg
import pytest
from pydantic import SecretStr

from storekit import Settings
from storekit.drivers.postgres.exchange import TimedOut
from storekit.drivers.postgres.pool.endpoint import Endpoint
from storekit.ports.stores import AnswerLost

WHERE = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '
REFUSALS = {
    "password authentication failed": 'FATAL:  password authentication failed for user "app"',
    'role "app" does not exist': 'FATAL:  role "app" does not exist',
    'database "d" does not exist': 'FATAL:  database "d" does not exist',
    "no such user: app": "FATAL:  no such user: app",
    "no such user": "FATAL:  no such user",
}
PASSING = {
    "connection refused": "Connection refused\n\tIs the server running on that host?",
    "remaining connection slots are reserved": "FATAL:  remaining connection slots are reserved for ...",
    "too many connections": 'FATAL:  too many connections for role "app"',
    "the server said: Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen": "FATAL:  "
    "Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen",
    "the server said: Rolle »***« existiert nicht": "FATAL:  Rolle »secret« existiert nicht\nTIPP:  nichts",
}


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(Settings(postgres_url=SecretStr("postgresql://app:secret@127.0.0.1:5432/d")))


def fail(endpoint: Endpoint, error: Exception) -> str:
    """Record a failed attempt to connect, and return the text of the error."""
    with pytest.raises(psycopg.OperationalError) as raised, endpoint.recording():
        raise error
    return str(raised.value)


@pytest.mark.parametrize(("why", "said"), REFUSALS.items())
def test_a_refusal_in_english_is_final(endpoint: Endpoint, why: str, said: str) -> None:
    """A refusal that waiting cannot change names the login and the variable to check."""
    fail(endpoint, psycopg.OperationalError(WHERE + said))
    assert endpoint.refusal == f"postgres refused app: {why}; check POSTGRES_URL"


@pytest.mark.parametrize(("why", "said"), PASSING.items())
def test_other_failures_are_retried_until_the_timeout(endpoint: Endpoint, why: str, said: str) -> None:
    """A server that is full, starting or not English is retried; the error of the timeout has the reason."""
    assert "secret" not in fail(endpoint, psycopg.OperationalError(WHERE + said))
    assert endpoint.refusal == ""
    error = endpoint.unreachable(5)
    assert error.detail == f"127.0.0.1:5432: {why}"
    assert str(error) == (
        "postgres is unavailable: no connection to POSTGRES_URL within 5 s, which is timeout "
        "(STOREKIT_TIMEOUT); nothing was committed; call again"
    )


def test_a_short_password_does_not_hide_the_cause() -> None:
    """A refusal is recognised although the password is a letter of its text."""
    endpoint = Endpoint(Settings(postgres_url=SecretStr("postgresql://app:p@127.0.0.1:5432/d")))
    fail(endpoint, psycopg.OperationalError(f'{WHERE}FATAL:  permission denied for database "d"'))
    assert endpoint.refusal == (
        "postgres refused app: permission denied for database d; "
        "GRANT CONNECT ON DATABASE d TO app, or check POSTGRES_URL"
    )
    assert "role p" not in fail(endpoint, psycopg.OperationalError(f"{WHERE}FATAL:  role p does not exist"))


def test_a_timeout_differs_from_a_lost_connection(endpoint: Endpoint) -> None:
    """A timeout is its own cause; the text of a lost connection is not passed on."""
    fail(endpoint, TimedOut(10))
    assert "no response within 10 s" in str(endpoint.unreachable(5).detail)
    fail(endpoint, AnswerLost("whatever it was"))
    assert "whatever" not in str(endpoint.unreachable(5).detail)
