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

from storekit.drivers.postgres.exchange import TimedOut
from storekit.drivers.postgres.pool.logins import LOGINS
from storekit.drivers.postgres.pool.versions import unsupported
from storekit.errors import ConfigurationError, Unavailable
from storekit.ports.stores import AnswerLost
from storekit.settings import Login, Settings

# libpq has the SQLSTATE of a login that failed, but psycopg gives no access to it (PQsetErrorVerbosity), and
# lc_messages cannot be set before the login. So English texts decide here, as a last resort. If the server
# speaks another language, none of them matches: the call waits until its time-out, in case the server is
# only starting or full, and the error then quotes the server.
_REFUSAL = re.compile(
    r"[\w ]*authentication failed|no password supplied|no pg_hba.conf entry|role .* does not exist"
    r"|no such (?:user|database): .*"  # PgBouncer's
    r"|database .* does not exist|role .* is not permitted to log in|permission denied for database"
)
# by name, so that nothing else that libpq quotes passes
_CAUSE = re.compile(
    r"connection (?:refused|reset by peer|timed out)|timeout expired|no route to host|network is unreachable"
    r"|name or service not known|nodename nor servname provided|no address associated with hostname"
    r"|temporary failure in name resolution|server closed the connection unexpectedly"
    r"|too many (?:clients|connections)|remaining connection slots are reserved"
    r"|the database system is (?:starting up|shutting down|in recovery mode)"
    r"|server does not support SSL|certificate verify failed",
    re.IGNORECASE,
)
# How libpq writes what the server said: its severity in any language, a colon, two spaces.
_SAID = re.compile(r": [^\s:]+: {2}(\S.*)")


class Unfit(psycopg.OperationalError):
    """We refuse the login or the server: row-level security would not hold."""


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
            raise Unfit(why)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Note how an attempt to connect ends; what is raised may be logged."""
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
        """Why the server, or we, refused the login: waiting would not help. Empty if nobody did."""
        if not self._refusal:
            return ""
        login = self.keywords.get("user", "the default login")
        return f"postgres at {self.place} refused {login}: {self._refusal}; check {self.login.variable}"

    def unreachable(self, seconds: float) -> Unavailable:
        """Say that there was no way in, and why if the last attempt told."""
        why = f" ({self._cause})" if self._cause else ""
        return Unavailable("postgres", f"no connection to {self.place} within {seconds:g} s{why}")


def _understood(error: psycopg.OperationalError | AnswerLost, said: str) -> tuple[str, str]:
    """Tell why the login was refused for good, or else what may pass. At most one of the two is known."""
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
    # a password that is not percent-encoded spills over into what follows it
    spilt = any("@" in str(found.get(name, ""))[1:] for name in ("host", "dbname"))
    if spilt or not re.fullmatch(r"[\d,]*", str(found.get("port", ""))):
        raise ConfigurationError(
            f"{variable} cannot be read; it is postgresql://login:password@host:port/database, login and "
            "password percent-encoded"
        )
    return found
