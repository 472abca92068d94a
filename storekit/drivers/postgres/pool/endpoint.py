"""The server that a login connects to, and the reason why its last attempt to connect failed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import BaseConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq.abc import PGresult

from storekit.drivers.postgres.exchange import TimedOut
from storekit.drivers.postgres.pool.logins import LOGINS
from storekit.drivers.postgres.pool.versions import unsupported
from storekit.errors import ConfigurationError, Unavailable
from storekit.ports.stores import AnswerLost
from storekit.settings import Login, Settings

# libpq has the SQLSTATE of a failed login, but psycopg does not give access to it (PQsetErrorVerbosity), and
# lc_messages cannot be set before the login. So the English messages are matched here. If the server uses
# another language, no pattern matches: the call waits until its time-out, in case the server is starting or
# full, and the error then quotes the message.
_REFUSAL = re.compile(
    r"[\w ]*authentication failed|no password supplied|no pg_hba.conf entry|role .* does not exist"
    r"|no such (?:user|database): .*"  # PgBouncer's
    r"|database .* does not exist|role .* is not permitted to log in|permission denied for database"
)
# only known causes, because messages of libpq may contain secrets
_CAUSE = re.compile(
    r"connection (?:refused|reset by peer|timed out)|timeout expired|no route to host|network is unreachable"
    r"|name or service not known|nodename nor servname provided|no address associated with hostname"
    r"|temporary failure in name resolution|server closed the connection unexpectedly"
    r"|too many (?:clients|connections)|remaining connection slots are reserved"
    r"|the database system is (?:starting up|shutting down|in recovery mode)"
    r"|server does not support SSL|certificate verify failed",
    re.IGNORECASE,
)
# The form in which libpq quotes the server: a severity in any language, a colon, two spaces, the message.
_SAID = re.compile(r": [^\s:]+: {2}(\S.*)")


class Unfit(psycopg.OperationalError):
    """storekit rejects the login or the server, because row-level security would not be effective."""


class Endpoint:
    """The server that a login connects to, and why its last attempt failed. Its texts contain no secret."""

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
        """Raise Unfit for a login that is exempt from row-level security, or for an unsupported server."""
        why = unsupported(connection.info.server_version)
        if above := answers[0].get_value(0, 0):
            why = f"row-level security would not apply to it, because it can act as {above.decode()}"
        if why:
            raise Unfit(why)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record how an attempt to connect ends. The error that is raised may be logged: it has no secret."""
        try:
            yield
        except (psycopg.OperationalError, AnswerLost) as error:
            secret = self.keywords.get("password")
            said = str(error).replace(secret, "***") if secret else str(error)
            self._refusal, self._cause = _understood(error, said)
            self.failing = True
        else:
            self.accepted, self.failing, self._refusal, self._cause = True, False, "", ""
            return
        raise psycopg.OperationalError(said)

    @property
    def refusal(self) -> str:
        """Why the server or storekit rejected the login; waiting does not help. Empty if neither did."""
        if not self._refusal:
            return ""
        login = self.keywords.get("user", "the default login")
        return f"postgres at {self.place} refused {login}: {self._refusal}; check {self.login.variable}"

    def unreachable(self, seconds: float) -> Unavailable:
        """Return the error for a server that cannot be reached, with the cause if it is known."""
        why = f" ({self._cause})" if self._cause else ""
        return Unavailable("postgres", f"no connection to {self.place} within {seconds:g} s{why}")


def _understood(error: psycopg.OperationalError | AnswerLost, said: str) -> tuple[str, str]:
    """Return a permanent reason and a temporary one; at least one of the two is empty."""
    match error:
        case Unfit():
            return said, ""
        case TimedOut():
            return "", said
        case psycopg.OperationalError(pgconn=link) if link is not None and link.needs_password:
            return "no password supplied", ""
    if refused := _REFUSAL.search(said):
        return refused[0].strip(), ""
    if cause := _CAUSE.search(said):
        return "", cause[0].lower()
    return "", f"the server said: {words[-1]}" if (words := _SAID.findall(said)) else ""


def _parsed(url: str, variable: str) -> dict[str, Any]:
    try:
        found = conninfo_to_dict(url)
    except psycopg.Error:
        found = {"port": "unreadable"}
    # a part of a password that is not percent-encoded is parsed as host, port or database
    spilt = any("@" in str(found.get(name, ""))[1:] for name in ("host", "dbname"))
    if spilt or not re.fullmatch(r"[\d,]*", str(found.get("port", ""))):
        raise ConfigurationError(
            f"{variable} cannot be parsed; it must be postgresql://login:password@host:port/database, with "
            "login and password percent-encoded"
        )
    return found
