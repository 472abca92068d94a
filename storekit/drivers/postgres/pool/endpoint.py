"""The target of a connection: parses the URL once and records why a login was refused."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import BaseConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo
from psycopg.pq.abc import PGconn, PGresult

from storekit import ids
from storekit.drivers.postgres.exchange import Composed, TimedOut
from storekit.drivers.postgres.pool.encodings import UTF8, other_encoding
from storekit.drivers.postgres.pool.logins import LOGINS
from storekit.drivers.postgres.pool.versions import unsupported
from storekit.errors import ConfigurationError, Unavailable
from storekit.ports.libpq import EMBEDDED, NEWER, SESSION
from storekit.ports.stores import AnswerLost
from storekit.settings import Login, Settings

# libpq knows the SQLSTATE of a failed login, but psycopg does not expose it (PQsetErrorVerbosity), and
# lc_messages cannot be set before the login. So English messages decide here, as a last resort. If the server
# uses another language, none of them matches: the call waits until its time-out, because the server may be
# starting or full, and the error then quotes the server. The texts are those of PostgreSQL 15 and 18,
# of PgBouncer 1.12 to 1.25, and of libpq 18 ("no password supplied").
_REFUSAL = re.compile(
    r"[\w ]*authentication failed|no password supplied|no pg_hba.conf entry|role .* does not exist"
    r"|no such (?:user|database)\b.*"  # PgBouncer's
    r"|definition of service .* not found"  # PGSERVICE
    r"|(?:invalid value for )?parameter \"(?:TimeZone|DateStyle|geqo)\".*"
    r"|database .* does not exist|role .* is not permitted to log in|permission denied for database"
)
# An explicit list, so that no other text that libpq quotes gets into an error. The first three lines and
# the last are texts of libpq 18 and of the operating system, the other two of PostgreSQL 15 and 18.
_CAUSE = re.compile(
    r"connection (?:refused|reset by peer|timed out)|timeout expired|no route to host|network is unreachable"
    r"|name or service not known|nodename nor servname provided|no address associated with hostname"
    r"|temporary failure in name resolution|server closed the connection unexpectedly"
    r"|too many (?:clients|connections)|remaining connection slots are reserved"
    r"|the database system is (?:starting up|shutting down|in recovery mode)"
    r"|server does not support SSL|certificate verify failed",
    re.IGNORECASE,
)
# The format of a server message in libpq: the severity in any language, a colon, two spaces.
_SERVER_MESSAGE = re.compile(r": [^\s:]+: {2}(\S.*)")


_CLOCKS_AGREE = 24 * 3600.0
"""Seconds by which the clocks may differ. The ledger takes an older id for that of a past write."""


class Unfit(psycopg.OperationalError):
    """The login or the server is refused: isolation, triggers, text or times would not be right."""


class Endpoint:
    """The server that a login connects to, and why the last attempt failed. Never shows a secret."""

    def __init__(self, settings: Settings, login: Login = Login.APP) -> None:
        self.login = LOGINS[login]
        self.keywords = connection_keywords(parsed(self.login.url(settings), self.login.variable))
        self.place = place(self.keywords)
        self.accepted = self.failing = False
        self._refusal = self._cause = ""

    def again(self) -> list[Composed]:
        """Return the statements that set what variables of the environment have set, if they must not."""
        if self.keywords.get("application_name") != EMBEDDED:
            return []
        return [
            ("SELECT pg_catalog.set_config($1, $2, false)", [setting.encode(), value.encode()])
            for variable, (setting, value) in SESSION.items()
            if variable in os.environ
        ]

    @property
    def unverified(self) -> bool:
        """Whether row-level security must apply to this login and has not been checked yet."""
        return self.login.isolated and not self.accepted

    def check_encodings(self, pgconn: PGconn) -> None:
        """Refuse a database or a session in which text is not UTF-8."""
        if why := other_encoding(pgconn):
            raise Unfit(why)

    def verify(self, connection: BaseConnection[Any], results: Sequence[PGresult]) -> None:
        """Refuse a login that bypasses row-level security or triggers, another version, and a wrong clock."""
        if not self.unverified:
            return
        why = unsupported(connection.info.server_version)
        exempt, role, time = (results[-1].get_value(0, column) for column in range(3))
        if exempt:
            why = f"row-level security does not apply to it, because it can act as {exempt.decode()}"
        elif role == b"replica":
            why = "no triggers run in its sessions, because session_replication_role is replica; reset it"
        # Such a machine could neither commit a write nor sign a URL that is valid.
        ahead = ids.now().timestamp() - float(time or 0)
        if abs(ahead) > _CLOCKS_AGREE:
            by = f"{timedelta(seconds=round(abs(ahead)))} {'ahead of' if ahead > 0 else 'behind'}"
            why = f"the clock of this machine is {by} the clock of Postgres; set the clock"
        if why:
            raise Unfit(why)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the outcome of an attempt to connect; the raised error contains no password."""
        try:
            yield
        except (psycopg.OperationalError, AnswerLost) as error:
            secret = self.keywords.get("password")
            message = str(error).replace(secret, "***") if secret else str(error)
            self._refusal, self._cause = understood(error, message)
            self.failing = True
        else:
            self.accepted, self.failing, self._refusal, self._cause = True, False, "", ""
            return
        raise psycopg.OperationalError(message)

    @property
    def refusal(self) -> str:
        """Why the login was refused, so that waiting would not help. Empty if it was not."""
        if not self._refusal:
            return ""
        login, check = self.keywords.get("user", "the default login"), self.login.variable
        if "parameter" in self._refusal:
            check = f"{', '.join(SESSION)} in the environment"
        return f"postgres refused {login}: {self._refusal}; check {check}"

    def unreachable(self, seconds: float) -> Unavailable:
        """Return the error for a failed connection, with the cause of the last attempt if known."""
        cause = f": {self._cause}" if self._cause else ""
        return Unavailable(
            "postgres",
            f"no connection to {self.login.variable} within {seconds:g} s, which is timeout "
            "(STOREKIT_TIMEOUT)",
            detail=f"{self.place}{cause}",
        )


def connection_keywords(found: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a connection, completed from those of its URL."""
    found["client_encoding"] = UTF8  # texts are sent in UTF-8, whatever PGCLIENTENCODING or the URL say
    if found.get("application_name") != EMBEDDED:
        return found
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    return {**found, **{name: value for name, value in NEWER.items() if name in known}}


def place(keywords: Mapping[str, Any]) -> str:
    """Return host and port, for operators."""
    host = keywords.get("host") or keywords.get("hostaddr") or "its default host"
    return f"{host}:{keywords.get('port', 5432)}"


def understood(error: psycopg.OperationalError | AnswerLost, message: str) -> tuple[str, str]:
    """Return why the login was refused, and the cause of a temporary failure. At most one is not empty."""
    match error:
        case Unfit():
            return message, ""
        case TimedOut():
            return "", message
        case psycopg.OperationalError(pgconn=link) if link is not None and link.needs_password:
            return "no password supplied", ""
    if refused := _REFUSAL.search(message):
        return refused[0].strip(), ""
    if cause := _CAUSE.search(message):
        return "", cause[0].lower()
    return "", f"the server said: {messages[-1]}" if (messages := _SERVER_MESSAGE.findall(message)) else ""


def parsed(url: str, variable: str) -> dict[str, Any]:
    """Parse the URL of a login.

    Raises:
        ConfigurationError: it cannot be parsed; the message names the variable.
    """
    try:
        found = conninfo_to_dict(url)
    except psycopg.Error:
        found = {"port": "unreadable"}
    # part of a password that is not percent-encoded is parsed as host or database
    misparsed = any("@" in str(found.get(name, ""))[1:] for name in ("host", "dbname"))
    if misparsed or not re.fullmatch(r"[\d,]*", str(found.get("port", ""))):
        raise ConfigurationError(
            f"{variable} cannot be parsed; it must be postgresql://login:password@host:port/database, with "
            "login and password percent-encoded"
        )
    return found
