"""The way in: a URL read once, and why a login was not let in: by the server, or by us."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import BaseConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq.abc import PGresult

from storekit.drivers.postgres.pool.logins import LOGINS
from storekit.drivers.postgres.pool.versions import unsupported
from storekit.errors import ConfigurationError, Unavailable
from storekit.ports.stores import AnswerLost
from storekit.settings import Login, Settings

# libpq tells no SQLSTATE of a connection that never was
_REFUSAL = re.compile(
    r"[\w ]*authentication failed|no password supplied|no pg_hba.conf entry|role .* does not exist"
    r"|no such (?:user|database): .*"  # PgBouncer's
    r"|database .* does not exist|role .* is not permitted to log in|permission denied for database"
    r"|row-level security would not hold it, since it may act as .*"
    r"|version \d.*"
)
# by name, so that nothing else that libpq quotes passes
_CAUSE = re.compile(
    r"connection (?:refused|reset by peer|timed out)|timeout expired|no route to host|network is unreachable"
    r"|name or service not known|nodename nor servname provided|no address associated with hostname"
    r"|temporary failure in name resolution|server closed the connection unexpectedly"
    r"|too many clients|the database system is (?:starting up|shutting down|in recovery mode)"
    r"|no answer within [\d.]+ s"
    r"|server does not support SSL|certificate verify failed",
    re.IGNORECASE,
)


class Endpoint:
    """The server that a login connects to, and why its last attempt failed. Never reveals a secret."""

    def __init__(self, settings: Settings, login: Login = Login.APP) -> None:
        self.login = LOGINS[login]
        self.keywords = _parsed(self.login.url(settings), self.login.variable)
        host = self.keywords.get("host") or self.keywords.get("hostaddr") or "its default host"
        self.place = f"{host}:{self.keywords.get('port', 5432)}"
        self.accepted = self.failing = False
        self._refusal = self._cause = ""

    @property
    def unverified(self) -> bool:
        """Whether row-level security must apply to this login and has not been checked yet."""
        return self.login.isolated and not self.accepted

    def verify(self, connection: BaseConnection[Any], answers: Sequence[PGresult]) -> None:
        """Refuse a login that is exempt from row-level security, and an unsupported server."""
        why = unsupported(connection.info.server_version)
        if above := answers[0].get_value(0, 0):
            why = f"row-level security would not hold it, since it may act as {above.decode()}"
        if why:
            raise psycopg.OperationalError(why)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Note how an attempt to connect ends; what is raised may be logged."""
        try:
            yield
        except (psycopg.OperationalError, AnswerLost) as error:
            said = str(error)
            refused = _REFUSAL.search(said)
            self._refusal = refused[0].strip() if refused else ""
            cause = _CAUSE.search(said)
            self._cause = cause[0].lower() if cause else ""
            self.failing = True
        else:
            self.accepted, self.failing, self._refusal, self._cause = True, False, "", ""
            return
        secret = self.keywords.get("password")
        raise psycopg.OperationalError(said.replace(secret, "***") if secret else said)

    @property
    def refusal(self) -> str:
        """Why the server, or we, refused the login: waiting would not help. Empty if nobody did."""
        if not self._refusal:
            return ""
        login = self.keywords.get("user", "the default login")
        return f"postgres at {self.place} refused {login}: {self._refusal}; check {self.login.variable}"

    def unreachable(self, seconds: float) -> Unavailable:
        """Say that there was no way in, and why if the last attempt told."""
        why = f" ({self._cause})" if self._cause else ""
        return Unavailable("postgres", f"no connection to {self.place} within {seconds:g} s{why}")


def _parsed(url: str, variable: str) -> dict[str, Any]:
    try:
        found = conninfo_to_dict(url)
    except psycopg.Error:
        found = {"port": "unreadable"}
    # a password that is not percent-encoded spills over into what follows it
    spilt = any("@" in str(found.get(name, ""))[1:] for name in ("host", "dbname"))
    if spilt or not re.fullmatch(r"[\d,]*", str(found.get("port", ""))):
        raise ConfigurationError(
            f"{variable} cannot be read; it is postgresql://login:password@host:port/database, login and "
            "password percent-encoded"
        )
    return found
